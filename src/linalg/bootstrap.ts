import { RandomStream } from './random.js';

/** Places of a sample that is drawn with replacement. */
export type Resample = readonly number[];

/**
 * Resamples of observations in groups, for percentile intervals: groups are drawn with replacement, and of each drawn group as many
 * of its observations as it has, with replacement. One group is the plain bootstrap.
 *
 * @param groups - Places of the observations, by group; none is empty.
 * @param options - `count`: resamples, default 2000; `seed`: of the draws, default 0.
 * @see Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), 13.3; of groups: Davison and Hinkley, "Bootstrap Methods and
 * their Application" (1997), 3.8, strategy 2.
 */
export function resamples(
  groups: readonly (readonly number[])[],
  { count = 2000, seed = 0 }: { count?: number; seed?: number } = {},
): Resample[] {
  const random = new RandomStream(seed, 'bootstrap');
  return Array.from({ length: count }, () =>
    groups.flatMap(() => {
      const group = groups[groups.length === 1 ? 0 : random.integer(groups.length)];
      return group.map(() => group[random.integer(group.length)]);
    }),
  );
}

/**
 * The bounds that leave out the same share of some values at both ends, each one of them.
 *
 * @returns Nothing of no values.
 */
export function percentileInterval(
  values: readonly number[],
  confidence = 0.95,
): readonly [number, number] | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const out = Math.floor(((1 - confidence) / 2) * sorted.length);
  return [sorted[out], sorted[sorted.length - 1 - out]];
}
