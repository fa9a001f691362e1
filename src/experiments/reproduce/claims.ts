import {
  type AttackRow,
  attackersAdvantage,
  bestRow,
  type CountsAs,
  holdsButForOverlooked,
  scores,
  verdictOf,
} from '../../attacks/index.js';
import { mean, meanInterval, type RatioInterval, ratioInterval } from '../../linalg/index.js';
import { specDefOptions } from '../../locks/index.js';
import type { Evaluation } from '../../tasks/index.js';
import { hundredths, signed } from '../in-words.js';
import { shareLost, type UtilityChange } from '../utility.js';
import type { Ended } from './common.js';
import type { Claim, ResultAttack, ResultCell } from './reproduction.js';

/** Share of right answers. */
export function accuracy({ metrics }: Evaluation): number {
  return metrics.accuracy ?? Number.NaN;
}

/** `78.1 %`, for findings; a dash for the share of nothing. */
export function share(value: number): string {
  return Number.isFinite(value) ? `${hundredths(value)} %` : '–';
}

/** `1 seed`, `3 seeds`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** One point of accuracy. */
const onePoint = 0.01;

/** What an unlocked model must gain over guessing, beyond its interval over seeds, to say that it learns. */
const leastGain = 0.05;
/** A locked model that gains at most this share of it, by the whole interval, is prevented from learning. */
const prevented = 0.25;

/** Draws of a lock of which something can be said of the next. */
const leastDraws = 3;

/** Claims about a lock: what fewer than three draws of it show is true of these, a finding and no verdict. */
export function overDraws(draws: number, claims: readonly Claim[]): Claim[] {
  if (draws >= leastDraws) return [...claims];
  const why = `${draws === 1 ? 'one draw of the lock says' : `${draws} draws of the lock say`} nothing of another`;
  return claims.map((claim) => ({ ...claim, verdict: 'unmeasured', finding: `${why}: ${claim.finding}` }));
}

/** A locked model's accuracy is at most one point below the unlocked one's, by the whole interval; says nothing of a model that guesses. */
export function keepsUtility(task: string, source: string, change: UtilityChange): Claim {
  const { before, after } = change;
  const { n, metrics } = after.float32;
  const [a, b] = [before.float32, after.float32].map(accuracy);
  const lost = shareLost({ before: a, after: b, agreement: metrics.agreement ?? 0, n });
  const lostInWords = pointsInWords(a - b, lost);
  const finding = `${share(a)} before, ${share(b)} after, ${lostInWords} lost, n = ${n}`;
  const text = `The lock keeps the accuracy on ${task}: at most 1 point is lost.`;
  return { text, source, ...judgeKept(change, ...judgeLost(lost, 'examples', finding)) };
}

/** Whether at most one point is lost, by an interval, and how that is said. */
export function judgeLost(
  { low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY }: { low?: number; high?: number },
  of: string,
  finding: string,
): [verdict: Claim['verdict'], finding: string] {
  if (high <= onePoint) return ['holds', finding];
  return low > onePoint ? ['fails', finding] : ['unmeasured', `too few ${of} to tell: ${finding}`];
}

/** `1.0 (−0.6 to 2.6) points`, of a share and its interval. */
export function pointsInWords(lost: number, { low, high }: { low?: number; high?: number }): string {
  const range = low === undefined || high === undefined ? '' : ` (${hundredths(low)} to ${hundredths(high)})`;
  return `${hundredths(lost)}${range} points`;
}

/** `0.66 (−0.59 to 1.12)`: what is left of an advantage. */
export function leftInWords({ ratio, low, high }: { ratio: number; low: number; high: number }): string {
  return `${signed(ratio, 2)} (${signed(low, 2)} to ${signed(high, 2)})`;
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
  const kept = b.kl !== null && b.notFinite === 0 && b.kl <= keptKl;
  return { text, source, ...judgeKept(change, kept ? 'holds' : 'fails', finding) };
}

/** Both of each of some locks, by what tables call them. */
export function keepsBoth(task: string, source: string, changes: Readonly<Record<string, UtilityChange>>): Claim[] {
  return Object.entries(changes).flatMap(([name, change]) => [
    keepsUtility(`${task} (${name})`, source, change),
    keepsProbabilities(`${task} (${name})`, change),
  ]);
}

/** What is said of a utility; what a model that guesses keeps says nothing. */
function judgeKept(
  { before: { float32: before }, guessing }: UtilityChange,
  verdict: Claim['verdict'],
  finding: string,
): Pick<Claim, 'verdict' | 'finding'> {
  if (isGuessing(accuracy(before), guessing, before.n)) {
    return { verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
  }
  return { verdict, finding };
}

/** Whether a share of right answers to n examples is within five points or two standard errors of that of guessing. */
export function isGuessing(score: number, guessing: number, n: number): boolean {
  return score - guessing < Math.max(leastGain, 2 * Math.sqrt((guessing * (1 - guessing)) / n));
}

/** What runs from the unlocked model and from locked ones ended with, by seed in the same order; each seed takes one draw of the lock in turn. */
interface Gains {
  readonly unlocked: readonly number[];
  readonly locked: readonly number[];
  readonly guessing: number;
}

/**
 * Whether a lock prevents what the unlocked model learns: by the share of the unlocked model's gain over guessing that is left, and its
 * whole interval.
 */
function judgeGain({ unlocked, locked, guessing }: Gains, finding: string): Pick<Claim, 'verdict' | 'finding'> {
  const { mean: center, low: least = center } = meanInterval(unlocked);
  if (center - guessing < leastGain || least <= guessing) {
    return { verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
  }
  const gains = (scores: readonly number[]) => scores.map((score) => score - guessing);
  // Where a run failed on one side, the others are no pairs.
  const { ratio, low, high }: Pick<RatioInterval, 'ratio' | 'low' | 'high'> =
    unlocked.length === locked.length
      ? ratioInterval(gains(locked), gains(unlocked))
      : { ratio: mean(gains(locked)) / mean(gains(unlocked)) };
  if (low === undefined || high === undefined) {
    return { verdict: 'unmeasured', finding: `too few runs to tell: ${share(ratio)} of the gain is left: ${finding}` };
  }
  const left = `${share(ratio)} (${hundredths(low)} to ${hundredths(high)}) of the gain is left: ${finding}`;
  if (high <= prevented) return { verdict: 'holds', finding: left };
  if (low > prevented) return { verdict: 'fails', finding: left };
  return { verdict: 'unmeasured', finding: `too few runs to tell: ${left}` };
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
  const best = (which: 'unlocked' | 'locked') =>
    cells[which].map(({ ours }) => ours).reduce((a, b) => (mean(b) > mean(a) ? b : a));
  const [unlocked, locked] = [best('unlocked'), best('locked')];
  const diverged = cells.locked.filter(({ diverged = 0 }) => diverged > 0).length;
  const finding = `best of ${cells.unlocked.length} rates, ${metric}: unlocked ${share(mean(unlocked))}, locked ${share(mean(locked))}, guessing ${share(guessing)}; n = ${counted(unlocked.length, 'seed')}, ${pairs} test pairs${diverged > 0 ? `; the locked model diverged at ${counted(diverged, 'rate')}` : ''}`;
  const text = `At none of the learning rates the locked model learns ${task}, where the unlocked one does.`;
  if (isGuessing(mean(unlocked), guessing, pairs)) {
    return {
      text,
      source,
      verdict: 'unmeasured',
      finding: `the unlocked model cannot be told from guessing: ${finding}`,
    };
  }
  return { text, source, ...judgeGain({ unlocked, locked, guessing }, finding) };
}

/** What a search of attacks says: of plain fine-tuning, which `source` claims, and of the best of all attacks and the control, which we do. */
export function claimsOfSearch(found: ResultAttack, source: string): Claim[] {
  return [preventsAtAnyRate(found, source), preventsAtBest(found, 'weightlock'), ...beatsControl(found)];
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

/** What the lock itself takes from an attacker, beside what its training does: nothing is claimed where there is no control. */
export function beatsControl({ task, rows, score }: ResultAttack): Claim[] {
  if (!rows.some(({ countsAs }) => countsAs === 'control')) return [];
  const control = attackersAdvantage(rows, 'score', { of: 'control' });
  const text = `Against the best of all attacks the lock leaves less of an attacker's advantage for ${task} than its sham lock, the same training without the lock.`;
  const claim = (verdict: Claim['verdict'], finding: string): Claim[] => [
    { text, source: 'weightlock', verdict, finding },
  ];
  const [own, sham] = [score?.value, control?.value];
  if (own?.low === undefined || own.high === undefined || sham?.low === undefined || sham.high === undefined) {
    return claim('unmeasured', 'the unlocked model cannot be told from the floor');
  }
  const inWords = ({ ratio, low = 0, high = 0 }: RatioInterval) => leftInWords({ ratio, low, high });
  const finding = `the lock leaves ${inWords(own)}, its sham lock ${inWords(sham)}`;
  // By whole intervals: two that overlap may be one.
  if (sham.high < own.low) return claim('fails', finding);
  if (own.high >= sham.low) return claim('unmeasured', `not to be told apart: ${finding}`);
  const { high: overlooked = own.high } = score?.overlooked?.value ?? {};
  return overlooked < sham.low
    ? claim('holds', finding)
    : claim('unmeasured', `an attack that the searches did not choose leaves more: ${finding}`);
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
  const advantage = `attacker's advantage ${leftInWords({ ratio, low, high })}; ${numbers}`;
  switch (verdictOf(score)) {
    case 'holds':
      return { text, source, verdict: 'holds', finding: advantage };
    case 'does not hold':
      return { text, source, verdict: 'fails', finding: advantage };
    case 'cannot tell': {
      const why = holdsButForOverlooked(score)
        ? 'an attack that the searches did not choose leaves more'
        : 'too few seeds to tell';
      return { text, source, verdict: 'unmeasured', finding: `${why}: ${advantage}` };
    }
    default:
      return {
        text,
        source,
        verdict: 'unmeasured',
        finding: `the unlocked model cannot be told from the floor; ${numbers}`,
      };
  }
}
