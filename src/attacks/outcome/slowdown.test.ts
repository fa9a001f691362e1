import { expect, it } from 'vitest';
import { type AttackRow, flopsToTarget, secondsToTarget, slowdownOf, type Trial } from '../index.js';

/** A row whose seeds reached the target after so many steps, or not within 100. */
function row(costs: readonly (number | undefined)[]): AttackRow {
  const trials = costs.map((cost, seed) => ({ seed, cost, ...(cost !== undefined && { costFlops: 1000 * cost }) }));
  return {
    budget: 100,
    result: { search: [], learningRate: 1, trials: trials as unknown as Trial[] },
  } as unknown as AttackRow;
}

it('a slowdown is the median of the ratios of seeds, not the ratio of medians', () => {
  // Ratios 2, 3, 4; the medians are 20 and 40.
  expect(slowdownOf(row([40, 30, 80]), row([20, 10, 20]))).toMatchObject({ n: 3, median: 3, longest: 4 });
});

it('counts a run that ran out of budget as more than it lasted, each by its own seed', () => {
  // More than 10, more than 2, 3, 4: half are at 4 or below only if the early one is taken out of the risk.
  expect(slowdownOf(row([undefined, undefined, 30, 40]), row([10, 50, 10, 10]))).toMatchObject({
    median: 4,
    high: undefined,
  });
  expect(slowdownOf(row([undefined, undefined]), row([20, 25]))).toEqual({
    n: 2,
    median: undefined,
    low: 5,
    high: undefined,
    longest: 5,
  });
});

it('counts each draw of the lock once, by its seeds together', () => {
  // Seeds 0 and 2 take one draw, 1 and 3 the other: ratios 1 and 4, 9 and more than 4.
  const locked = { ...row([20, 90, 80, undefined]), draws: 2 };
  const found = slowdownOf(locked, row([20, 10, 20, 25]));
  expect(found).toMatchObject({ n: 2, longest: 6 });
  expect(found?.median).toBeCloseTo(2, 10);
});

it('is not known where the unlocked model misses the target, or no step is taken', () => {
  expect(slowdownOf(row([10, 20]), row([10, undefined]))).toBeUndefined();
  expect(slowdownOf(row([0, 0]), row([10, 10]))).toBeUndefined();
  expect(slowdownOf(row([10, 20]), row([10]))).toBeUndefined();
});

it('leaves out the seed of a run that failed, which did not run out of budget', () => {
  const failed = row([40, undefined, 80]);
  const trials = failed.result.trials.map((trial, seed) => (seed === 1 ? { ...trial, end: 'failed' as const } : trial));
  const locked = { ...failed, result: { ...failed.result, trials } };
  expect(slowdownOf(locked, row([20, 10, 20]))).toMatchObject({ n: 2, median: 2, longest: 4 });
  expect(flopsToTarget(locked)).toBe(60_000);
});

it('operations to the target are a median as well, known where more than half reached it', () => {
  expect(flopsToTarget(row([10, 30, 20]))).toBe(20_000);
  expect(flopsToTarget(row([10, undefined, 20]))).toBe(20_000);
  expect(flopsToTarget(row([10, undefined]))).toBeUndefined();
});

it('seconds to the target are those of the reported runs, after the search, by the share of each that went before the target', () => {
  const all = row([10, 30, 20]);
  const trials = all.result.trials.map((trial, seed) => ({
    ...trial,
    spent: { steps: 0, samples: 0, flops: seed === 1 ? 60_000 : 1000 * (trial.cost ?? 0) },
  }));
  const found = { ...all, result: { ...all.result, search: [trials[0]], trials } };
  expect(secondsToTarget(found, [99, 4, 12, 5])).toBe(5);
  // The second run took twice the operations that the target took.
  expect(secondsToTarget(found, [99, 4, 9, 5])).toBe(4.5);
  // Of an older result, or of another search.
  expect(secondsToTarget(found, [4, 12, 5])).toBeUndefined();
  expect(secondsToTarget({ ...row([10, undefined]) }, [1, 1])).toBeUndefined();
});
