/** What an adaptive attack did to the weights before it trained: alone, and in a row of several. */
const FIRST: Readonly<Record<string, readonly [alone: string, joined: string]>> = {
  clip: ['clipped', 'clip'],
  reset: ['reset', 'reset'],
  rescale: ['rescaled', 'rescale'],
};

/**
 * What was attacked, in the words of tables, charts and sentences: the starting point and what the attack did to it
 * before it trained.
 *
 * @example startLabel({ start: 'locked', attack: 'clip-reset' }) // "locked, clip + reset"
 */
export function startLabel({ start, attack }: { readonly start: string; readonly attack: string }): string {
  if (attack === 'fine-tune' || attack === 'frozen') return start;
  const parts = attack.split('-');
  // An attack that this list lacks still gets a label of its own.
  if (!parts.every((part) => Object.hasOwn(FIRST, part))) return `${start}, ${attack}`;
  const [alone, joined] = [0, 1].map((form) => parts.map((part) => FIRST[part][form]).join(' + '));
  return `${start}, ${parts.length === 1 ? alone : joined}`;
}
