import { type AttackRow, bestRow, type CountsAs, scores, verdictOf } from '../../attacks/index.js';
import { mean, meanInterval } from '../../linalg/index.js';
import { specDefOptions } from '../../locks/index.js';
import type { Evaluation } from '../../tasks/index.js';
import type { UtilityChange } from '../utility.js';
import type { Ended } from './common.js';
import type { Claim, ResultAttack, ResultCell } from './reproduction.js';

/** Share of right answers. */
export function accuracy({ metrics }: Evaluation): number {
  return metrics.accuracy ?? Number.NaN;
}

/** `78.1 %`, for findings; a dash for the share of nothing. */
export function share(value: number): string {
  return Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : '–';
}

/** `1 seed`, `3 seeds`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** One point of accuracy, with room for the rounding of a difference of two shares. */
const onePoint = 0.01 + 1e-9;

/** What an unlocked model must gain over guessing, beyond its interval over seeds, to say that it learns. */
const leastGain = 0.05;
/** A locked model that gains at most this share of it is prevented from learning. */
const prevented = 0.25;

/** A locked model's accuracy is at most one point below the unlocked one's; says nothing of a model that guesses. */
export function keepsUtility(task: string, source: string, change: UtilityChange): Claim {
  const { before, after } = change;
  const [a, b] = [before.float32, after.float32].map(accuracy);
  const text = `The lock keeps the accuracy on ${task}: at most 1 point is lost.`;
  const finding = `${share(a)} before, ${share(b)} after, n = ${after.float32.n}`;
  return { text, source, ...judgeKept(change, a - b <= onePoint, finding) };
}

/** Mean KL divergence to the original, in nats, up to which a lock keeps the probabilities: SpecDef's own default budget. */
const keptKl = specDefOptions.parse({}).maxKl ?? Number.POSITIVE_INFINITY;

/** A locked model's probabilities are near the unlocked one's: what accuracy hides. */
export function keepsProbabilities(task: string, change: UtilityChange): Claim {
  const { before, after } = change;
  const [a, b] = [before.float32.metrics, after.float32.metrics];
  const text = `The lock keeps the probabilities on ${task}: at most ${keptKl} nats of KL divergence to the original.`;
  const number = (value: number | null, digits: number) => (value === null ? 'not finite' : value.toFixed(digits));
  const finding =
    `KL ${number(b.kl, 3)}, agreement ${share(b.agreement ?? Number.NaN)}, loss ${number(a.loss, 3)} before, ${number(b.loss, 3)} after, ` +
    `calibration error ${number(a.ece, 3)} before, ${number(b.ece, 3)} after, ${share(after.float16.metrics.notFinite ?? 0)} of the outputs not finite in fp16`;
  const source = 'weightlock';
  return { text, source, ...judgeKept(change, b.kl !== null && b.notFinite === 0 && b.kl <= keptKl, finding) };
}

/** Both of each of some locks, by what tables call them. */
export function keepsBoth(task: string, source: string, changes: Readonly<Record<string, UtilityChange>>): Claim[] {
  return Object.entries(changes).flatMap(([name, change]) => [
    keepsUtility(`${task} (${name})`, source, change),
    keepsProbabilities(`${task} (${name})`, change),
  ]);
}

/** Whether a utility was kept; what a model that guesses keeps says nothing. */
function judgeKept(
  { before: { float32: before }, guessing }: UtilityChange,
  kept: boolean,
  finding: string,
): Pick<Claim, 'verdict' | 'finding'> {
  if (isGuessing(accuracy(before), guessing, before.n)) {
    return { verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
  }
  return { verdict: kept ? 'holds' : 'fails', finding };
}

/** Whether a share of right answers to n examples is within five points or two standard errors of that of guessing. */
export function isGuessing(score: number, guessing: number, n: number): boolean {
  return score - guessing < Math.max(leastGain, 2 * Math.sqrt((guessing * (1 - guessing)) / n));
}

/**
 * Whether a lock prevents what the unlocked model learns: by the share of the unlocked model's gain over guessing that is
 * left to the locked one.
 */
function judgeGain(
  { unlocked, locked, guessing }: { unlocked: readonly number[]; locked: readonly number[]; guessing: number },
  finding: string,
): Pick<Claim, 'verdict' | 'finding'> {
  const { mean: center, low = center } = meanInterval(unlocked);
  if (center - guessing < leastGain || low <= guessing) {
    return { verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
  }
  const left = (mean(locked) - guessing) / (center - guessing);
  return { verdict: left <= prevented ? 'holds' : 'fails', finding: `${share(left)} of the gain is left: ${finding}` };
}

/** At one setting the locked model does not learn a task that the unlocked one learns. */
export function preventsAtSetting(
  { task, setting, source, guessing }: { task: string; setting: string; source: string; guessing: number },
  unlocked: Ended,
  locked: Ended,
): Claim {
  const text = `With ${setting}, the unlocked model learns ${task} and the locked one does not.`;
  const finding = `unlocked ${inWords(unlocked)}, locked ${inWords(locked)}, guessing ${share(guessing)}; n = ${counted(unlocked.scores.length, 'seed')}`;
  return { text, source, ...judgeGain({ unlocked: unlocked.scores, locked: locked.scores, guessing }, finding) };
}

/** Where runs ended, and how many of them diverged. */
function inWords({ scores, diverged }: Ended): string {
  return `${share(mean(scores))}${diverged > 0 ? ` (${diverged} of ${scores.length} diverged)` : ''}`;
}

/** Whatever the learning rate, the locked model does not learn what the unlocked one learns. */
export function preventsAtAllRates(
  {
    task,
    metric,
    source,
    guessing,
    pairs,
  }: { task: string; metric: string; source: string; guessing: number; pairs: number },
  cells: Readonly<Record<'unlocked' | 'locked', readonly ResultCell[]>>,
): Claim {
  const best = (which: 'unlocked' | 'locked') => Math.max(...cells[which].map(({ ours }) => mean(ours)));
  const [unlocked, locked] = [best('unlocked'), best('locked')];
  const seeds = cells.unlocked[0]?.ours.length ?? 0;
  const diverged = cells.locked.filter(({ diverged = 0 }) => diverged > 0).length;
  const finding = `best of ${cells.unlocked.length} rates, ${metric}: unlocked ${share(unlocked)}, locked ${share(locked)}, guessing ${share(guessing)}; n = ${counted(seeds, 'seed')}, ${pairs} test pairs${diverged > 0 ? `; the locked model diverged at ${diverged} of them` : ''}`;
  const text = `At none of the learning rates the locked model learns ${task}, where the unlocked one does.`;
  if (isGuessing(unlocked, guessing, pairs)) {
    return {
      text,
      source,
      verdict: 'unmeasured',
      finding: `the unlocked model cannot be told from guessing: ${finding}`,
    };
  }
  const left = (locked - guessing) / (unlocked - guessing);
  return {
    text,
    source,
    verdict: left <= prevented ? 'holds' : 'fails',
    finding: `${share(left)} of the gain is left: ${finding}`,
  };
}

/** No learning rate and no optimizer of a sweep makes plain fine-tuning of the locked model learn the task. */
export function preventsAtAnyRate({ task, rows, guessing, metric }: ResultAttack, source: string): Claim {
  const text = `No learning rate and no optimizer of the sweep makes the locked model learn ${task}.`;
  const plain = (side: CountsAs) => rows.filter((row) => row.countsAs === side && row.plain && row.measure === 'score');
  const unlocked = bestRow(plain('unlocked'));
  // Of all that were tried, and not what a search would have chosen: one that learns is enough.
  const locked = plain('locked')
    .filter((row) => scores(row).length > 0)
    .toSorted((a, b) => mean(scores(b)) - mean(scores(a)))[0];
  if (!unlocked || !locked) return { text, source, verdict: 'unmeasured', finding: 'not attacked' };
  const at = (row: AttackRow) =>
    `${share(mean(scores(row)))} (${row.optimizer} at ${row.result.learningRate.toPrecision(1)})`;
  const finding = `${metric}: unlocked ${at(unlocked)}, locked ${at(locked)}; n = ${counted(scores(locked).length, 'seed')}`;
  return { text, source, ...judgeGain({ unlocked: scores(unlocked), locked: scores(locked), guessing }, finding) };
}

/** Whatever attack, learning rate and optimizer is taken, the locked weights keep at most a quarter of their worth. */
export function preventsAtBest({ task, score, metric }: ResultAttack, source: string): Claim {
  const text = `Against the best of all attacks, learning rates and optimizers, the lock leaves at most a quarter of an attacker's advantage for ${task}.`;
  if (!score) return { text, source, verdict: 'unmeasured', finding: 'not attacked' };
  const { value, locked, unlocked, floor, constant } = score;
  const best = (row: typeof locked) => {
    const { mean: center } = meanInterval(scores(row));
    const how = row.plain ? row.optimizer : `${row.kind}, ${row.optimizer}`;
    return `${share(center)} (${row.trains ? how : row.use})`;
  };
  const least = constant === undefined ? best(floor) : `${share(constant)} (always the same answer)`;
  const numbers = `${metric}: unlocked ${best(unlocked)}, locked ${best(locked)}, floor ${least}, n = ${counted(value.n, 'seed')}`;
  const { ratio, low = 0, high = 0 } = value;
  const advantage = `attacker's advantage ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}); ${numbers}`;
  switch (verdictOf(score)) {
    case 'holds':
      return { text, source, verdict: 'holds', finding: advantage };
    case 'does not hold':
      return { text, source, verdict: 'fails', finding: advantage };
    case 'cannot tell':
      return { text, source, verdict: 'unmeasured', finding: `too few seeds to tell: ${advantage}` };
    default:
      return {
        text,
        source,
        verdict: 'unmeasured',
        finding: `the unlocked model cannot be told from the floor; ${numbers}`,
      };
  }
}
