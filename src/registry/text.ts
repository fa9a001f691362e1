const LONGEST = 80;

/**
 * A string from an untrusted file as one short printable line in double quotes, for error messages.
 *
 * At most 80 characters; control characters, line separators and marks that reorder text are escaped.
 */
export function quote(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  return JSON.stringify(shown).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
