import { mean, percentileInterval, type Resample, resamples } from '../../linalg/index.js';
import { isMeasuredTrial, measuredTrials } from '../search/measured.js';
import { type Spent, sumOfSpent } from '../trial/spent.js';
import { type AttackRow, bestRow, type Measure, spentOn } from './attack-row.js';
import { countedRows } from './unlocked-failures.js';

/** How good the best attack of those searched so far is, over what all searches have cost. */
export interface BestSoFar {
  /** Name of the starting point. */
  readonly start: string;
  /** Of which measure the searches are. */
  readonly measure: Measure;
  /** Seeds that are reported. */
  readonly seeds: number;
  /** Draws of the lock among them. */
  readonly draws: number;
  /** Of the intervals. */
  readonly confidence: number;
  /** From no search at all to the last one. */
  readonly points: readonly BestSoFarPoint[];
}

/** The best attack after some searches. */
export interface BestSoFarPoint {
  /** Name of the best attack so far by the seeds of its search; none before the first. */
  readonly attack?: string;
  /** Name of its optimizer. */
  readonly optimizer?: string;
  /** Optimizer steps of all searches so far. */
  readonly steps: number;
  /** Their floating-point operations. */
  readonly flops: number;
  /** Its score on seeds that it was not chosen by, a mean. */
  readonly score: number;
  /** Bounds of the mean; none of one seed. */
  readonly low?: number;
  /** Upper bound. */
  readonly high?: number;
}

const confidence = 0.95;

/**
 * One curve for each starting point and measure: the searches in the order of their plan, each charged with all its trials and one
 * run of what it chose; the best of those that are done is the one whose search saw the largest gain, on the unlocked model of those that
 * work there, if one does; its score is that of the seeds that are reported. Before the first there are the weights as they are, which cost nothing.
 *
 * The intervals are percentiles of a bootstrap over draws of the lock and the seeds of each. Which attack is the best so far is
 * taken as it was found: the seeds of searches are too few to draw again.
 */
export function bestSoFar(rows: readonly AttackRow[]): BestSoFar[] {
  const keys = [...new Set(rows.map(({ start, measure }) => JSON.stringify([start, measure])))];
  return keys.flatMap((key) => {
    const own = rows.filter(({ start, measure }) => JSON.stringify([start, measure]) === key);
    const measured = own.filter(({ result }) => result.trials.some(isMeasuredTrial));
    if (measured.length === 0) return [];
    const [{ start, measure, draws = 1, result }] = measured;
    const seeds = result.trials.map(({ seed }) => seed);
    const groups = Array.from({ length: draws }, (_, draw) => places(seeds, (seed) => seed % draws === draw));
    const drawn = resamples(groups.filter((group) => group.length > 0));
    return [{ start, measure, seeds: seeds.length, draws, confidence, points: pointsOf(own, drawn) }];
  });
}

const places = (seeds: readonly number[], is: (seed: number) => boolean) =>
  seeds.flatMap((seed, place) => (is(seed) ? [place] : []));

function pointsOf(rows: readonly AttackRow[], drawn: readonly Resample[]): BestSoFarPoint[] {
  let cost = sumOfSpent([]);
  const points: BestSoFarPoint[] = [];
  for (const [index, row] of rows.entries()) {
    cost = sumOfSpent([cost, costOf(row)]);
    const best = bestRow(countedRows(rows.slice(0, index + 1)));
    if (!best || !row.result.trials.some(isMeasuredTrial)) continue;
    if (points.length === 0) points.push(pointAt(firstScores(row), drawn, {}, sumOfSpent([])));
    const { kind: attack, optimizer, result } = best;
    const scores = result.trials.map((trial) => (isMeasuredTrial(trial) ? trial.score : undefined));
    points.push(pointAt(scores, drawn, { attack, optimizer }, cost));
  }
  return points;
}

/** What the weights are worth before any step, by seed. */
function firstScores({ result }: AttackRow): (number | undefined)[] {
  return result.trials.map((trial) => (isMeasuredTrial(trial) ? trial.curve[0]?.score : undefined));
}

/** All trials of a search, and one run of what it chose, the mean of those that are reported. */
function costOf({ result }: AttackRow): Spent {
  const once = measuredTrials(result.trials).flatMap(({ spent }) => spent ?? []);
  const { steps, samples, flops } = sumOfSpent(once);
  const share = 1 / Math.max(once.length, 1);
  return sumOfSpent([
    spentOn({ ...result, trials: [] }),
    { steps: share * steps, samples: share * samples, flops: share * flops },
  ]);
}

function pointAt(
  scores: readonly (number | undefined)[],
  drawn: readonly Resample[],
  best: Pick<BestSoFarPoint, 'attack' | 'optimizer'>,
  { steps, flops }: Spent,
): BestSoFarPoint {
  const known = (some: readonly (number | undefined)[]) =>
    some.filter((score) => score !== undefined && !Number.isNaN(score)) as number[];
  const measured = known(scores);
  const point = { ...best, steps, flops, score: mean(measured) };
  if (measured.length < 2) return point;
  const means = drawn.flatMap((resample) => {
    const found = known(resample.map((place) => scores[place]));
    return found.length > 0 ? [mean(found)] : [];
  });
  const bounds = percentileInterval(means, confidence);
  return bounds ? { ...point, low: bounds[0], high: bounds[1] } : point;
}
