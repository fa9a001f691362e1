import { type MedianDuration, medianDuration } from '../linalg/index.js';
import type { AttackRow } from './assessment.js';
import { measuredTrials, pairedSeeds } from './measured.js';

/**
 * How many times the steps that the unlocked model needs an attack needs on the locked one, over seeds that are paired: the median
 * and its interval by Kaplan and Meier, since a run on the locked model that ran out of budget says of its own ratio only what it
 * exceeds.
 *
 * A seed at which a trial failed is left out.
 *
 * @returns Nothing where that cannot be said: a run on the unlocked model missed the target, or took no step.
 */
export function slowdownOf(locked: AttackRow, unlocked: AttackRow): MedianDuration | undefined {
  if (unlocked.result.trials.length !== locked.result.trials.length) return undefined;
  const places = pairedSeeds(locked, unlocked);
  const before = places.map((place) => unlocked.result.trials[place].cost ?? 0);
  const trials = places.map((place) => locked.result.trials[place]);
  if (trials.length === 0 || before.some((steps) => steps === 0)) return undefined;
  if (trials.some(({ cost }) => cost === 0)) return undefined;
  return medianDuration(
    trials.map(({ cost }, seed) => ({ time: (cost ?? locked.budget) / before[seed], censored: cost === undefined })),
  );
}

/** Median of the floating-point operations that reported runs took to the target; none unless more than half reached it. */
export function flopsToTarget({ result: { trials } }: AttackRow): number | undefined {
  const all = measuredTrials(trials)
    .map(({ costFlops }) => costFlops ?? Number.POSITIVE_INFINITY)
    .toSorted((a, b) => a - b);
  const median =
    all.length === 0 ? Infinity : (all[Math.ceil(all.length / 2) - 1] + all[Math.floor(all.length / 2)]) / 2;
  return Number.isFinite(median) ? median : undefined;
}
