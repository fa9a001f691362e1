/** The largest difference of two arrays, relative to the largest number of the expected one. */
export interface Difference {
  error: number;
  index: number;
  found: number;
  expected: number;
}

/** Compares element by element; a NaN or infinity on one side only is an infinite difference. */
export function largestDifference(
  found: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  tiny = 1e-3,
): Difference {
  let scale = tiny;
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(Number(expected[i]));
    if (Number.isFinite(size)) scale = Math.max(scale, size);
  }
  let worst: Difference = { error: 0, index: -1, found: 0, expected: 0 };
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [Number(found[i]), Number(expected[i])];
    if (Object.is(a, b)) continue;
    const difference = Math.abs(a - b) / scale;
    const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    if (error > worst.error) worst = { error, index: i, found: a, expected: b };
  }
  return worst;
}

/** One line a tensor that is out of tolerance, naming it, its largest error and where. */
export function outOfTolerance(
  name: string,
  found: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  tolerance: number,
): string[] {
  if (found.length !== expected.length) return [`${name}: ${found.length} elements, expected ${expected.length}`];
  const { error, index, found: a, expected: b } = largestDifference(found, expected);
  return error <= tolerance ? [] : [`${name}: error ${error.toExponential(2)} at ${index}: ${a}, expected ${b}`];
}
