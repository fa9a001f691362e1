/**
 * The known name nearest to a mistyped one, or undefined when none is near.
 *
 * Near means at most a third of the letters (at least one) inserted, deleted, changed, or swapped with a neighbour,
 * upper and lower case being the same. Among equally near names the first wins.
 *
 * @example suggest('adma', ['sgd', 'adam']) // 'adam'
 */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  const typed = name.toLowerCase();
  let best: string | undefined;
  // A distance of the whole length would turn any short name into any other.
  let limit = Math.min(Math.max(1, Math.floor(typed.length / 3)), typed.length - 1);
  for (const candidate of known) {
    // The lengths alone bound the distance from below; this also keeps a hostile, very long name cheap.
    if (Math.abs(candidate.length - typed.length) > limit) continue;
    const distance = editDistance(typed, candidate.toLowerCase());
    if (distance > limit) continue;
    best = candidate;
    limit = distance - 1;
  }
  return best;
}

/** Insertions, deletions, changes and swaps of neighbours that turn a into b (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(previous[j] + 1, current[j - 1] + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        current[j] = Math.min(current[j], beforePrevious[j - 2] + 1);
      }
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length];
}
