import { mean, type RatioInterval, ratioInterval } from '../../linalg/index.js';
import { isMeasuredTrial, pairedSeeds } from '../search/measured.js';
import type { CountsAs } from '../starts.js';
import {
  type AttackRow,
  bestRow,
  gains,
  type Measure,
  placesByDraw,
  reportedGain,
  scores,
  trainingFirst,
} from './attack-row.js';
import { countedRows } from './unlocked-failures.js';

/** The attacker's advantage of one measure, and the rows it comes from. */
export interface Advantage {
  /** What was measured. */
  readonly measure: Measure;
  /** The best attack on the locked model, or on the control in its place. */
  readonly locked: AttackRow;
  /** The best attack on the unlocked model. */
  readonly unlocked: AttackRow;
  /** The best of training from scratch, frozen use of the released model and, where it was tried, distillation of its outputs. */
  readonly floor: AttackRow;
  /** The score of always giving the same answer, where that is more than the mean of `floor`; else undefined. */
  readonly constant?: number;
  /**
   * 1: the lock does nothing; 0: the locked weights are worth no more than none. Without bounds where the unlocked model
   * cannot be told from the floor: then nothing is measured.
   */
  readonly value: RatioInterval;
  /** Whether some of the best attack's runs on the locked model ran out of budget: the true value is then lower. */
  readonly isUpperBound: boolean;
  /**
   * Whether some runs of the floor, or on the unlocked model, ran out of budget: the true value is then higher. Of both at once nothing
   * is known, and `value` has no bounds. Default no.
   */
  readonly isLowerBound?: boolean;
  /** What `value.n` counts: draws of the lock, where some draw has several seeds, of which the means are taken; default seeds. */
  readonly over?: 'draws';
  /** The attack that gained more with the reported seeds than `locked`, if one did; not in results of versions before 0.3. */
  readonly overlooked?: OverlookedAttack;
}

/**
 * An attack that the seeds of the searches did not choose, and that gained the most with those that are reported. It is chosen by what
 * is reported of it, so chance is on its side: it decides nothing for a lock, and keeps one from being said to hold.
 */
export interface OverlookedAttack extends Pick<Advantage, 'locked' | 'value' | 'isUpperBound' | 'isLowerBound'> {}

/** What an attacker gains with the seeds that are reported, at some places of theirs. */
function reported(row: AttackRow, places: readonly number[]): number[] {
  const all = gains(row, row.result.trials);
  return places.map((place) => all[place]);
}

/**
 * The attacker's advantage over the floor: (best attack on the locked model − floor) / (best attack on the unlocked model
 * − floor), over seeds that are paired; what uses the locked
 * model's outputs alone counts to the floor, not to the attacks; the floor's score is never below that of always giving the same
 * answer. Each best one is chosen on the seeds of the searches and measured on others; on the unlocked model it is one that works
 * there (`unlockedFailures`), if one does. A seed at which a trial of one of them failed is left out. Seeds that took the same draw of
 * the lock say less of other draws than seeds that took others: of several draws the pairs are the means of each.
 *
 * @param options - `only`: which rows count of those that train the model, for all starting points; default all. `of`: what was attacked,
 *   the locked model or the control beside it; default the locked model.
 * @returns Nothing where a starting point was not attacked with this measure.
 */
export function attackersAdvantage(
  rows: readonly AttackRow[],
  measure: Measure,
  {
    only = () => true,
    of: attacked = 'locked',
  }: { only?: (row: AttackRow) => boolean; of?: 'locked' | 'control' } = {},
): Advantage | undefined {
  const of = rows.filter((row) => row.measure === measure && (row.countsAs === 'floor' || only(row)));
  const counted = trainingFirst(countedRows(of));
  const best = (side: CountsAs) => bestRow(counted.filter(({ countsAs }) => countsAs === side));
  const [locked, unlocked, floor] = [best(attacked), best('unlocked'), best('floor')];
  if (!locked || !unlocked || !floor) return undefined;
  const found = advantageOf(measure, { locked, unlocked, floor });
  const most = counted
    .filter(({ countsAs, result }) => countsAs === attacked && result.trials.some(isMeasuredTrial))
    .reduce((best, row) => (reportedGain(row) > reportedGain(best) ? row : best), locked);
  if (most === locked) return found;
  const { value, isUpperBound, isLowerBound } = advantageOf(measure, { locked: most, unlocked, floor });
  return { ...found, overlooked: { locked: most, value, isUpperBound, ...(isLowerBound && { isLowerBound }) } };
}

/** What an attack leaves of the advantage of the best one on the unlocked model over the floor. */
function advantageOf(
  measure: Measure,
  { locked, unlocked, floor }: Pick<Advantage, 'locked' | 'unlocked' | 'floor'>,
): Advantage {
  // A seed that one of the three could not measure says nothing of their difference.
  const places = pairedSeeds(locked, unlocked, floor);
  const constant = constantOfFloor(floor);
  const [left, whole] = [locked, unlocked].map((row) => gainsOverFloor(row, floor, places));
  const { values, over } = observations([locked, unlocked, floor], places, [left, whole]);
  const value =
    places.length === 0 ? { n: 0, ratio: Number.NaN, confidence: 0.95 } : ratioInterval(values[0], values[1]);
  const better = mean(whole) > 0;
  const ranOut = (row: AttackRow) =>
    measure === 'cost' && places.some((place) => row.result.trials[place].cost === undefined);
  const isUpperBound = ranOut(locked);
  const isLowerBound = ranOut(floor) || ranOut(unlocked);
  return {
    measure,
    locked,
    unlocked,
    floor,
    value:
      better && !(isUpperBound && isLowerBound)
        ? value
        : { n: value.n, ratio: value.ratio, confidence: value.confidence },
    isUpperBound,
    ...(isLowerBound && { isLowerBound }),
    ...(over && { over }),
    ...(constant !== undefined && { constant }),
  };
}

/**
 * What counts as one observation of some gains, one number a place: a seed, or a draw of what was attacked, by the mean of its seeds.
 *
 * @param rows - What was attacked, and the rows that it is compared with.
 * @returns `values`: of each of the gains. `over`: draws, where some draw has several seeds; default seeds.
 */
export function observations(
  rows: readonly [AttackRow, ...AttackRow[]],
  places: readonly number[],
  gains: readonly (readonly number[])[],
): { readonly values: readonly number[][]; readonly over?: 'draws' } {
  // What is fitted to the same features with every seed was measured once.
  const isOne = rows.every(({ trains }) => !trains) && gains.every((all) => all.every((gain) => gain === all[0]));
  const groups = placesByDraw(rows[0], places);
  const counted = isOne ? groups.slice(0, 1) : groups;
  const values = gains.map((all) => counted.map((group) => mean(group.map((place) => all[places.indexOf(place)]))));
  return { values, ...(!isOne && groups.length < places.length && { over: 'draws' as const }) };
}

/** How much more than the floor an attack gains with the seeds that are reported, at some places of theirs. */
export function gainsOverFloor(row: AttackRow, floor: AttackRow, places: readonly number[]): number[] {
  // Where a model from scratch ends below what needs no model, an attacker takes that.
  const constant = floor.measure === 'score' ? (floor.result.constant ?? -Infinity) : -Infinity;
  const least = reported(floor, places).map((gain) => Math.max(gain, constant));
  return reported(row, places).map((gain, index) => gain - least[index]);
}

/** The score of always giving the same answer, where that is more than the mean of the floor. */
export function constantOfFloor(floor: AttackRow): number | undefined {
  const { measure, result } = floor;
  const { constant } = result;
  return measure === 'score' && constant !== undefined && constant > mean(scores(floor)) ? constant : undefined;
}

/** Whether an advantage says anything: the unlocked model is better than the floor by more than chance, and both sides of it are known. */
export function isMeasured({ value }: Advantage): boolean {
  return value.low !== undefined;
}

/** What an advantage says of a lock. */
export type Verdict = 'holds' | 'does not hold' | 'cannot tell' | 'nothing measured';

/** A lock holds where it leaves an attacker at most this share of the advantage, by the whole interval. */
export const heldAdvantage = 0.25;

/**
 * Judges a lock by the interval of one advantage: it holds where at most a quarter is left, does not where more is, and
 * nothing can be told where the interval lies on both sides, where budgets that ran out leave the side open, or where an attack that the
 * searches did not choose was seen to leave more.
 */
export function verdictOf({ value, isUpperBound, isLowerBound = false, overlooked }: Advantage): Verdict {
  const { low, high } = value;
  if (low === undefined || high === undefined) return 'nothing measured';
  if (high <= heldAdvantage) return isLowerBound || leavesMore(overlooked) ? 'cannot tell' : 'holds';
  return leavesMore({ value, isUpperBound }) ? 'does not hold' : 'cannot tell';
}

/** Whether nothing but an attack that the searches did not choose keeps a lock from being said to hold. */
export function holdsButForOverlooked(advantage: Advantage): boolean {
  return verdictOf(advantage) !== 'holds' && verdictOf({ ...advantage, overlooked: undefined }) === 'holds';
}

/** Whether more than a lock may leave is left, by the whole interval. */
function leavesMore(left?: Pick<Advantage, 'value' | 'isUpperBound'>): boolean {
  return left?.value.low !== undefined && left.value.low > heldAdvantage && !left.isUpperBound;
}

/** The verdict of several measures: a lock that fails one fails, and one that fails none must hold by all that were measured. */
export function overallVerdict(advantages: readonly Advantage[]): Verdict {
  const verdicts = advantages.map(verdictOf).filter((verdict) => verdict !== 'nothing measured');
  const worst = (['does not hold', 'cannot tell', 'holds'] as const).find((verdict) => verdicts.includes(verdict));
  return worst ?? 'nothing measured';
}
