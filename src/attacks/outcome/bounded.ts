import { mean } from '../../linalg/index.js';
import { measuredTrials } from '../search/measured.js';
import type { TrialUtility } from '../trial/utility-after.js';
import { type Advantage, attackersAdvantage } from './assessment.js';
import type { AttackRow } from './attack-row.js';

/** Points of the authorized score that an attack may cost and still count as keeping utility, unless another number is given. */
export const usualUtilityDrop = 0.05;

/** The authorized score before and after an attack, means over its reported trials; none where it was not measured. */
export function utilityOf({ result }: AttackRow): TrialUtility | undefined {
  const found = measuredTrials(result.trials).flatMap(({ utility }) => utility ?? []);
  if (found.length === 0) return undefined;
  return { before: mean(found.map(({ before }) => before)), after: mean(found.map(({ after }) => after)) };
}

/** Whether an attack leaves the authorized score within a drop of what it was; unknown where that was not measured. */
export function keepsUtility(row: AttackRow, drop: number): boolean | undefined {
  const utility = utilityOf(row);
  // Beyond rounding: shares of the same number of examples.
  return utility && utility.before - utility.after <= drop + 1e-9;
}

/** What attacks get that keep the authorized task. */
export interface BoundedAdvantages {
  /** By how much its score may fall. */
  readonly drop: number;
  /** Of what was measured within the drop on the locked model and on the unlocked one; the floor is what it is. */
  readonly advantages: readonly Advantage[];
  /** Attacks on the locked model that cost more, by name and optimizer. */
  readonly ruining: readonly string[];
}

/** The advantages of attacks that keep the authorized task, and those that do not; none where that was not measured. */
export function boundedAdvantages(rows: readonly AttackRow[], drop: number): BoundedAdvantages | undefined {
  const known = rows.filter((row) => keepsUtility(row, drop) !== undefined);
  if (known.length === 0) return undefined;
  const only = (row: AttackRow) => keepsUtility(row, drop) === true;
  const advantages = (['cost', 'score'] as const).flatMap(
    (measure) => attackersAdvantage(rows, measure, { only }) ?? [],
  );
  const ruining = known.filter((row) => row.start === 'locked' && !only(row));
  const names = ruining.map(({ kind, optimizer }) => `${kind}, ${optimizer}`);
  return { drop, advantages, ruining: [...new Set(names)] };
}
