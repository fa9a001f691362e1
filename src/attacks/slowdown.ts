import { type MedianDuration, medianDuration } from '../linalg/index.js';
import type { AttackRow } from './assessment.js';

/**
 * How many times the steps that the unlocked model needs an attack needs on the locked one, over seeds that are paired: the median
 * and its interval by Kaplan and Meier, since a run on the locked model that ran out of budget says of its own ratio only what it
 * exceeds.
 *
 * @returns Nothing where that cannot be said: a run on the unlocked model missed the target, or took no step.
 */
export function slowdownOf(locked: AttackRow, unlocked: AttackRow): MedianDuration | undefined {
  const before = unlocked.result.trials.map(({ cost }) => cost ?? 0);
  const { trials } = locked.result;
  if (trials.length === 0 || before.length !== trials.length || before.some((steps) => steps === 0)) return undefined;
  if (trials.some(({ cost }) => cost === 0)) return undefined;
  return medianDuration(
    trials.map(({ cost }, seed) => ({ time: (cost ?? locked.budget) / before[seed], censored: cost === undefined })),
  );
}

/** Median of the floating-point operations that reported runs took to the target; none unless more than half reached it. */
export function flopsToTarget({ result: { trials } }: AttackRow): number | undefined {
  const all = trials.map(({ costFlops }) => costFlops ?? Number.POSITIVE_INFINITY).toSorted((a, b) => a - b);
  const median =
    all.length === 0 ? Infinity : (all[Math.ceil(all.length / 2) - 1] + all[Math.floor(all.length / 2)]) / 2;
  return Number.isFinite(median) ? median : undefined;
}
