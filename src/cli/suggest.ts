/**
 * Finds the known name that a mistyped one most likely means; undefined when none is near.
 *
 * Near: at most a third of its letters wrong (Damerau-Levenshtein distance, case and dashes ignored).
 */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  const typed = normalize(name);
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    // A nested key is often given without its group: `learningRate` for `optimizer.learningRate`.
    const forms = [normalize(candidate), normalize(candidate.slice(candidate.lastIndexOf('.') + 1))];
    const distance = Math.min(distanceOf(typed, forms[0]), distanceOf(typed, forms[1]) + 0.5);
    if (distance < least && distance <= Math.max(1, Math.floor(typed.length / 3)) + 0.5) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** `; did you mean X?` for the end of an error message, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const best = suggest(name, known);
  return best === undefined ? '' : `; did you mean ${best}?`;
}

function normalize(name: string): string {
  // Hostile names may be long, and the distance costs the product of both lengths.
  return name.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '');
}

/** Fewest insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const differs = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + differs);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}
