import { type Cost, type RatioInterval, ratioInterval } from '../linalg/index.js';
import type { SearchResult } from './search.js';

/** What is attacked: the model before the lock, after it, or nothing at all (training from scratch). */
export type StartName = 'unlocked' | 'locked' | 'random weights';

/** Cost: steps to a target. Score: the best accuracy within the budget. */
export type Measure = 'cost' | 'score';

/** One search, labelled. */
export interface AttackRow {
  /** Starting point. */
  readonly start: StartName;
  /** Name of the attack. */
  readonly attack: string;
  /** Name of the optimizer. */
  readonly optimizer: string;
  /** Its options; default PyTorch's. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What was measured. */
  readonly measure: Measure;
  /** Optimizer steps at most. */
  readonly budget: number;
  /** What the search found. */
  readonly result: SearchResult;
}

/** The attacker's advantage of one measure, and the rows it comes from. */
export interface Advantage {
  /** What was measured. */
  readonly measure: Measure;
  /** The best attack on the locked model. */
  readonly locked: AttackRow;
  /** The best attack on the unlocked model. */
  readonly unlocked: AttackRow;
  /** The better of training from scratch and frozen use of the released model. */
  readonly floor: AttackRow;
  /**
   * 1: the lock does nothing; 0: the locked weights are worth no more than none. Without bounds where the unlocked model
   * cannot be told from the floor: then nothing is measured.
   */
  readonly value: RatioInterval;
  /** Whether some of the best attack's runs on the locked model ran out of budget: the true value is then lower. */
  readonly isUpperBound: boolean;
}

/** The costs of a row, one a seed; a run that ran out of budget is censored there. */
export function costs({ result, budget }: AttackRow): Cost[] {
  return result.trials.map(({ cost }) => (cost === undefined ? { steps: budget, censored: true } : { steps: cost }));
}

/** The scores of a row, one a seed. */
export function scores({ result }: AttackRow): number[] {
  return result.trials.map(({ score }) => score);
}

/** What an attacker gains, one number a seed, more is better: the score, or the cost with a minus. */
function gains(row: AttackRow): number[] {
  return row.measure === 'score' ? scores(row) : costs(row).map(({ steps }) => -steps);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The row with the largest mean gain for the attacker; none of no rows. */
export function bestRow(rows: readonly AttackRow[]): AttackRow | undefined {
  return rows.reduce<AttackRow | undefined>(
    (best, row) => (best === undefined || mean(gains(row)) > mean(gains(best)) ? row : best),
    undefined,
  );
}

/**
 * The attacker's advantage over the floor: (best attack on the locked model − floor) / (best attack on the unlocked model
 * − floor), over seeds that are paired; frozen use counts to the floor, not to the attacks.
 *
 * @param options - `without`: an attack to leave out, for all starting points.
 * @returns Nothing where a starting point was not attacked with this measure.
 */
export function attackersAdvantage(
  rows: readonly AttackRow[],
  measure: Measure,
  { without }: { without?: string } = {},
): Advantage | undefined {
  const counted = rows.filter((row) => row.measure === measure && row.attack !== without);
  const of = (start: StartName, frozen: boolean) =>
    counted.filter((row) => row.start === start && (row.attack === 'frozen') === frozen);
  const locked = bestRow(of('locked', false));
  const unlocked = bestRow(of('unlocked', false));
  const floor = bestRow([...of('random weights', false), ...of('locked', true)]);
  if (!locked || !unlocked || !floor) return undefined;
  const difference = (a: AttackRow) => gains(a).map((gain, index) => gain - gains(floor)[index]);
  const value = ratioInterval(difference(locked), difference(unlocked));
  const better = mean(difference(unlocked)) > 0;
  const censored = measure === 'cost' && costs(locked).some((cost) => cost.censored);
  return {
    measure,
    locked,
    unlocked,
    floor,
    value: better ? value : { n: value.n, ratio: value.ratio, confidence: value.confidence },
    isUpperBound: censored,
  };
}

/** Whether an advantage says anything: the unlocked model is better than the floor by more than chance. */
export function isMeasured({ value }: Advantage): boolean {
  return value.low !== undefined;
}
