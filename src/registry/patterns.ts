/**
 * A test whether a whole name matches one of some patterns, in which `*` stands for any characters.
 *
 * @example matchesAny(['fc*'])('fc1.weight') // true
 */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const split = patterns.map((pattern) => pattern.split('*'));
  return (name) => split.some((parts) => matches(name, parts));
}

/** Whether a name is these parts with any characters between. Not by a regular expression: patterns of strangers could make one take years. */
function matches(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
