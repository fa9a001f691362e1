/** The largest difference of two arrays, each relative to the scale of its own element. */
export interface Difference {
  error: number;
  index: number;
  found: number;
  expected: number;
}

/**
 * Compares element by element. A difference is relative to the expected number or, where that is smaller, to the root mean
 * square of all: what an element of a sum, a product or a gradient is rounded relative to. Relative to the largest number
 * or to the norm instead, an error would hide behind one large element, or behind many.
 *
 * A NaN or infinity on one side only is an infinite difference, and so is one beside expected zeros alone.
 *
 * @param floor - Least scale, for numbers that are zero but for rounding of what they were computed from.
 */
export function largestDifference(
  found: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  floor = 0,
): Difference {
  let squares = 0;
  let finite = 0;
  for (let i = 0; i < expected.length; i++) {
    const value = Number(expected[i]);
    if (!Number.isFinite(value)) continue;
    squares += value * value;
    finite++;
  }
  const rms = Math.max(floor, finite > 0 ? Math.sqrt(squares / finite) : 0);
  let worst: Difference = { error: 0, index: -1, found: 0, expected: 0 };
  for (let i = 0; i < Math.max(found.length, expected.length); i++) {
    const [a, b] = [Number(found[i]), Number(expected[i])];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b) && i < found.length && i < expected.length)) continue;
    const difference = Math.abs(a - b) / Math.max(Math.abs(b), rms);
    const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    if (error > worst.error) worst = { error, index: i, found: a, expected: b };
  }
  return worst;
}

/** One line a tensor that is out of tolerance, naming it, its largest error and where; see {@link largestDifference}. */
export function outOfTolerance(
  name: string,
  found: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  tolerance: number,
  floor?: number,
): string[] {
  if (found.length !== expected.length) return [`${name}: ${found.length} elements, expected ${expected.length}`];
  const { error, index, found: a, expected: b } = largestDifference(found, expected, floor);
  return error <= tolerance ? [] : [`${name}: error ${error.toExponential(2)} at ${index}: ${a}, expected ${b}`];
}
