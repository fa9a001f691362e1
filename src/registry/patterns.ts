/**
 * A test whether a whole name matches one of some patterns, in which `*` stands for any characters.
 *
 * @example matchesAny(['fc*'])('fc1.weight') // true
 */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`);
  });
  return (name) => expressions.some((expression) => expression.test(name));
}
