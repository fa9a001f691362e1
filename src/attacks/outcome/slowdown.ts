import { type MedianDuration, mean, medianDuration } from '../../linalg/index.js';
import { isMeasuredTrial, measuredTrials, pairedSeeds } from '../search/measured.js';
import { type AttackRow, placesByDraw } from './attack-row.js';

/**
 * How many times the steps that the unlocked model needs an attack needs on the locked one, over seeds that are paired: the median
 * and its interval by Kaplan and Meier, since a run on the locked model that ran out of budget says of its own ratio only what it
 * exceeds.
 *
 * A seed at which a trial failed is left out. Of several draws of the lock each counts once, by the geometric mean over its seeds,
 * which is exceeded where one of them ran out.
 *
 * @returns Nothing where that cannot be said: a run on the unlocked model missed the target, or took no step.
 */
export function slowdownOf(locked: AttackRow, unlocked: AttackRow): MedianDuration | undefined {
  if (unlocked.result.trials.length !== locked.result.trials.length) return undefined;
  const places = pairedSeeds(locked, unlocked);
  const before = (place: number) => unlocked.result.trials[place].cost ?? 0;
  const after = (place: number) => locked.result.trials[place].cost;
  if (places.length === 0 || places.some((place) => before(place) === 0 || after(place) === 0)) return undefined;
  return medianDuration(
    placesByDraw(locked, places).map((group) => ({
      time: geometricMean(group.map((place) => (after(place) ?? locked.budget) / before(place))),
      censored: group.some((place) => after(place) === undefined),
    })),
  );
}

function geometricMean(values: readonly number[]): number {
  return values.length === 1 ? values[0] : Math.exp(mean(values.map(Math.log)));
}

/** Median of the floating-point operations that reported runs took to the target; none unless more than half reached it. */
export function flopsToTarget({ result: { trials } }: AttackRow): number | undefined {
  return medianOfAll(measuredTrials(trials).map(({ costFlops }) => costFlops ?? Number.POSITIVE_INFINITY));
}

/**
 * Median of the seconds that reported runs took to the target, measuring the score included, on the machine that ran them; none unless
 * more than half reached it. A run that went on after the target counts by its share of the operations.
 *
 * @param seconds - Of each trial of the row's search, in order: those of the search first. Of several trials that begin with the same
 *   preparation, as healing, the first has its time.
 */
export function secondsToTarget(
  { result: { search, trials } }: AttackRow,
  seconds: readonly number[],
): number | undefined {
  if (seconds.length !== search.length + trials.length) return undefined;
  const all = trials.flatMap((trial, index) => {
    if (!isMeasuredTrial(trial)) return [];
    const { costFlops, spent } = trial;
    if (costFlops === undefined) return [Number.POSITIVE_INFINITY];
    const share = spent && spent.flops > 0 ? costFlops / spent.flops : 1;
    return [share * seconds[search.length + index]];
  });
  return medianOfAll(all);
}

/** Median of numbers of which some are infinite; none where it is, or where there are none. */
function medianOfAll(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const all = values.toSorted((a, b) => a - b);
  const median = (all[Math.ceil(all.length / 2) - 1] + all[Math.floor(all.length / 2)]) / 2;
  return Number.isFinite(median) ? median : undefined;
}
