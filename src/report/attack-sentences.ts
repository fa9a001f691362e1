import {
  type Advantage,
  type AttackRow,
  alternativeStart,
  type CountsAs,
  costs,
  flopsToTarget,
  heldAdvantage,
  holdsButForOverlooked,
  isMeasured,
  type LockVerdict,
  measuredTrials,
  outdoneYardsticks,
  overallVerdict,
  scores,
  secondsToTarget,
  slowdownOf,
  spentOn,
  sumOfSpent,
  verdictOf,
  type Worth,
} from '../attacks/index.js';
import { meanInterval, medianInterval } from '../linalg/index.js';
import { isKnown, optimizerLabel, partLabel, rate, startLabel, takesNoStep } from './attack-names.js';
import { cost, count, decimal, interval, magnitude, percent, ratio } from './format/numbers.js';

/** What the advantage stands for, said wherever one is given. */
export const advantageScale =
  "The attacker's advantage: 1 means that the lock does nothing, 0 that the locked weights are worth no more than none, below 0 less.";

/** The attacker's advantage in one sentence, also where nothing was measured. */
export function advantageSentence(advantage: Advantage): string {
  const { measure, value, unlocked, isUpperBound, isLowerBound } = advantage;
  const what = measure === 'cost' ? 'cost' : 'score';
  const floorName = floorLabel(advantage);
  const floorFound = floorSummary(advantage);
  if (!isMeasured(advantage)) {
    const found = `${floorName} (${floorFound}), over ${pairs(advantage)}`;
    return isUpperBound && isLowerBound
      ? `In ${what}, nothing is measured: runs on the locked model and of the floor, ${found}, or on the unlocked model ran out of their budget.`
      : `In ${what}, nothing is measured: the unlocked model (${summary(unlocked)}) cannot be told from the floor, ${found}.`;
  }
  const bounds = `95 % interval ${interval(value.low, value.high, (bound) => decimal(bound, 2))}, n = ${pairs(advantage)}`;
  const atMost = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  return `Attacker's advantage in ${what}: ${atMost}${decimal(value.ratio, 2)} (${bounds}); the floor is ${floorName} (${floorFound}).`;
}

/** What the best attack with the reported seeds leaves, where the searches chose another one; else nothing. */
export function overlookedSentence(advantage: Advantage): string | undefined {
  const { overlooked } = advantage;
  if (!overlooked) return undefined;
  const { locked, value, isUpperBound, isLowerBound } = overlooked;
  const { ratio, low, high } = value;
  const atMost = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  const left = low === undefined || high === undefined ? '' : `, which leaves ${atMost}${withBounds(ratio, low, high)}`;
  return (
    `With the reported seeds another attack gains more on average than the one that the searches chose: ${how(locked)}, ` +
    `${summary(locked)}${left}. It is picked by these very numbers, so chance is on its side.`
  );
}

/** What the locked model would be compared with if the reported seeds chose it, where the searches chose others; else nothing. */
export function outdoneSentence(rows: readonly AttackRow[], advantage: Advantage): string | undefined {
  const { unlocked, floor } = outdoneYardsticks(rows, advantage);
  const found = [
    ...(unlocked ? [`on the unlocked model ${how(unlocked)}, ${summary(unlocked)}`] : []),
    ...(floor ? [`of the floor ${floorLabel({ floor })}, ${summary(floor)}`] : []),
  ];
  if (found.length === 0) return undefined;
  return `With the reported seeds more is gained on average than by what the searches chose to compare with: ${found.join('; ')}.`;
}

/** `0.38 (0.27 to 0.50)`: what is left of an advantage. */
function withBounds(ratio: number, low: number, high: number): string {
  return `${decimal(ratio, 2)} (${interval(low, high, (bound) => decimal(bound, 2))})`;
}

/** What an interval is over, in words. */
function pairs({ value: { n }, over }: Advantage): string {
  return over === 'draws' ? `${count(n, 'draw')} of the lock` : count(n, 'seed');
}

/** What the sham lock leaves of the advantage, in one sentence: what a lock does beyond it is the lock's. */
export function shamSentence(sham: NonNullable<LockVerdict['sham']>): string {
  const parts = (['cost', 'score'] as const).flatMap((measure) => {
    const value = sham[measure];
    if (!value) return [];
    const { ratio, low, high } = value;
    if (low === undefined || high === undefined) return [`nothing that can be measured in ${measure}`];
    return [`${withBounds(ratio, low, high)} in ${measure}`];
  });
  return `The sham lock, the same training without the lock, leaves of the advantage: ${parts.join(', ')}.`;
}

/** What an attacker does without the released weights, in a sentence. */
function floorLabel({ floor, constant }: Pick<Advantage, 'floor' | 'constant'>): string {
  if (constant !== undefined) return 'always the same answer';
  if (!floor.trains || floor.start === alternativeStart) return `${floor.use} (${startLabel(floor)})`;
  return floor.first.length === 0 ? 'training from scratch' : [...floor.first, floor.use].join(', then ');
}

/** What the floor reaches. */
export function floorSummary({ floor, constant }: Pick<Advantage, 'floor' | 'constant'>): string {
  return constant === undefined ? summary(floor) : percent(constant);
}

/** `a, b and c`. */
function inWords(parts: readonly string[]): string {
  return parts.join(', ').replace(/, (?=[^,]*$)/, ' and ');
}

/** What an attack does before it trains, and then; `rescaling the layers, then AdamW at learning rate 3e−3`. */
function how(row: AttackRow): string {
  if (takesNoStep(row)) return [...row.first, row.use].join(', then ');
  const chosen = Object.entries(row.result.point ?? {}).map(([name, value]) => `${name} ${value}`);
  const rates = [`learning rate ${rate(row.result.learningRate)}`, ...chosen];
  return [...row.first, `${partLabel(row)} at ${inWords(rates)}`].join(', then ');
}

/** What the weights of a model that was attacked alone are worth to an attacker, in one sentence. */
export function worthSentence({ gain, ...worth }: Worth): string {
  const attack = `${how(worth.attack)}: ${summary(worth.attack)}`;
  const floor = `${floorLabel(worth)}: ${floorSummary(worth)}`;
  if (!gain) return `To the target the best attack is ${attack}; the floor is ${floor}.`;
  const { n, low, high } = gain;
  const over = count(n, worth.over === 'draws' ? 'draw' : 'seed');
  if (low === undefined || low <= 0) {
    return `Nothing shows that the released weights are worth anything to an attacker: the best attack is ${attack}; the floor is ${floor}, over ${over}.`;
  }
  const points = (value: number | undefined) => decimal(value === undefined ? undefined : 100 * value, 1);
  return `To an attacker the released weights are worth ${points(gain.mean)} points (95 % interval ${interval(low, high, points)}, n = ${over}): the best attack is ${attack}; the floor is ${floor}.`;
}

/** What the best attack did on the locked model, in one plain sentence. */
export function cheapestAttackSentence(advantage: Advantage): string {
  const { measure, locked, unlocked } = advantage;
  const goal =
    measure === 'cost' ? 'The cheapest attack on the locked model' : 'The best-scoring attack on the locked model';
  return `${goal} is ${how(locked)}: ${summary(locked)}, against ${summary(unlocked)} on the unlocked model and ${floorSummary(advantage)} for the floor.`;
}

/** What the best attack takes to the target, and how many times the best one on the unlocked model; none where neither is known. */
export function costSentence(
  { measure, locked, unlocked }: Advantage,
  seconds: Readonly<Record<string, readonly number[]>> = {},
): string | undefined {
  if (measure !== 'cost') return undefined;
  const computed = flopsToTarget(locked);
  const slower = slowdownOf(locked, unlocked);
  const trials = measuredTrials(locked.result.trials).length;
  const took = secondsToTarget(locked, seconds[locked.search ?? ''] ?? []);
  const time = took === undefined ? '' : ` in ${magnitude(took, 1)} s here`;
  const operations =
    computed === undefined || computed === 0
      ? ''
      : `computes ${magnitude(computed / 1e9, 2)} GFLOP to the target${time} (median, without its search)`;
  if (!slower) return operations === '' ? undefined : `It ${operations}.`;
  const { n, median, low, high, longest } = slower;
  const center = median === undefined ? `> ${ratio(longest)}` : ratio(median);
  const bounds = high === undefined ? `${ratio(low)} or more` : interval(low, high, ratio);
  const factor = `takes ${center} the steps of the best attack on the unlocked model, seed by seed (median and 95 % interval by Kaplan and Meier: ${bounds}, n = ${n < trials ? `${count(n, 'draw')} of the lock` : count(n, 'seed')})`;
  return `It ${[operations, factor].filter((part) => part !== '').join(', and ')}.`;
}

/** What all attacks together were computed with, searches included, from each starting point; none of older results. */
export function effortSentence(
  rows: readonly AttackRow[],
  seconds: Readonly<Record<string, readonly number[]>> = {},
): string | undefined {
  // Two rows of one search are of the same trials.
  const searches = [...new Map(rows.map((row) => [row.search ?? row, row])).values()];
  const all = [...new Set(rows.map(({ start }) => start))].map((start) => {
    const own = searches.filter((row) => row.start === start);
    const { steps, samples, flops } = sumOfSpent(own.map(({ result }) => spentOn(result)));
    const took = own.flatMap(({ search }) => (search === undefined ? [] : (seconds[search] ?? [])));
    const time =
      took.length > 0
        ? `, ${decimal(
            took.reduce((sum, value) => sum + value, 0),
            0,
          )} s`
        : '';
    const computed = magnitude(flops / 1e9, 1);
    return { flops, text: `${start} ${count(steps, 'step')}, ${count(samples, 'example')}, ${computed} GFLOP${time}` };
  });
  if (all.every(({ flops }) => flops === 0)) return undefined;
  return `All trials, searches included: ${all.map(({ text }) => text).join('; ')}.`;
}

/** What all measures together say of the lock, in words: the first thing to read. */
export function verdictSentence(advantages: readonly Advantage[]): string {
  const verdict = overallVerdict(advantages);
  const decisive = advantages.find((advantage) => verdictOf(advantage) === verdict);
  if (verdict === 'nothing measured' || !decisive) {
    return advantages.some(({ isUpperBound, isLowerBound }) => isUpperBound && isLowerBound)
      ? 'Nothing is measured: runs on the locked model and those that it is compared with ran out of their budget.'
      : 'Nothing is measured: the unlocked model learns no better than an attacker does without it.';
  }
  const { value, measure, locked, isUpperBound, isLowerBound } = decisive;
  const bound = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  const once = (locked.draws ?? 1) === 1 ? ' (one draw of the lock)' : '';
  const left = `${bound}${decimal(value.ratio, 2)} (${interval(value.low, value.high, (bound) => decimal(bound, 2))}) of an attacker's advantage in ${measure}${once}`;
  if (verdict === 'does not hold') {
    const attack = locked.plain
      ? `plain ${locked.use}`
      : inWords([...locked.first, ...(locked.first.length === 0 ? [locked.use] : [])]);
    return `The lock does not hold: against ${attack} it leaves ${left}.`;
  }
  if (verdict === 'holds') {
    return `The lock holds against all attacks that were tried: it leaves at most a quarter of an attacker's advantage, by the best of them ${left}.`;
  }
  const more = holdsButForOverlooked(decisive) ? ', and more to an attack that the searches did not choose' : '';
  return `These runs cannot tell whether the lock holds: it leaves ${left}${more}; it holds where at most ${heldAdvantage} is left.`;
}

function summary(row: AttackRow): string {
  if (!isKnown(row)) return 'not measured';
  if (row.measure === 'score') return percent(meanInterval(scores(row)).mean);
  const { median } = medianInterval(costs(row));
  if (median.censored) return takesNoStep(row) ? 'never' : `not within ${row.budget} steps`;
  return `${cost(median)} steps`;
}

/** Plain fine-tuning alone, in one sentence: what is known before any attack that knows of the lock was tried. */
export function firstLookSentence(rows: readonly AttackRow[]): string {
  const named: Partial<Record<CountsAs, string>> = {
    unlocked: 'the unlocked model',
    locked: 'the locked one',
    floor: 'training from scratch',
  };
  const nameOf = ({ start, countsAs }: AttackRow) => (start === alternativeStart ? start : (named[countsAs] ?? start));
  const found = rows.map((row) => `${nameOf(row)} ${summary(row)}`).join(', ');
  return `First look, plain fine-tuning with ${optimizerLabel(rows[0])} alone: ${found}. Attackers who know of the lock come next.`;
}
