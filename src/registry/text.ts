const LONGEST = 80;

/**
 * A string from an untrusted file as one short printable line in double quotes, for error messages.
 *
 * At most 80 characters; control characters, line separators and marks that reorder text are escaped.
 */
export function quote(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  return escaped(JSON.stringify(shown));
}

/** A value as an error message shows it: at most 80 characters of its JSON. Infinities are as YAML has them, which the user wrote. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return Number.isNaN(value) ? '.nan' : value > 0 ? '.inf' : '-.inf';
  }
  const text = JSON.stringify(value) ?? String(value);
  return escaped(text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text);
}

/** What a library says of an untrusted file, as one short printable line: it may have parts of the file in it. */
export function lineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return escaped(text.length > 2 * LONGEST ? `${text.slice(0, 2 * LONGEST)}...` : text);
}

function escaped(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
