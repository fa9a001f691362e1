import { meanInterval, medianInterval } from '../../linalg/index.js';
import { isMeasuredTrial } from '../search/measured.js';
import { type AttackRow, costs, type Measure, scores } from './attack-row.js';

/** An attack that fails on the unlocked model. */
export interface UnlockedFailure {
  /** Name of the attack. */
  readonly attack: string;
  /** Name of its optimizer. */
  readonly optimizer: string;
  /** By what it fails. */
  readonly measure: Measure;
}

/**
 * The rows of the unlocked model whose attack does not work there, so that it measures nothing of a lock: in cost where the median
 * run missed the target, in score where the 95 % interval of the mean over seeds (of one seed its score) is not above that of always
 * the same answer. What has no such answer, and what was not measured, is not judged. On the locked model such an attack still
 * counts: one that succeeds there, whatever it does elsewhere, is the attacker's.
 */
export function unlockedFailures(rows: readonly AttackRow[]): AttackRow[] {
  return rows.filter((row) => {
    if (row.countsAs !== 'unlocked' || !row.result.trials.some(isMeasuredTrial)) return false;
    if (row.measure === 'cost') return medianInterval(costs(row)).median.censored === true;
    const { constant } = row.result;
    const { mean, low = mean } = meanInterval(scores(row));
    return constant !== undefined && !(low > constant);
  });
}

/** Rows of one measure of which the best may be one that counts: of those of the unlocked model the ones that work there, or all of it if none does. */
export function countedRows(rows: readonly AttackRow[]): AttackRow[] {
  const failing = new Set(unlockedFailures(rows));
  const works = rows.some((row) => row.countsAs === 'unlocked' && !failing.has(row));
  return works ? rows.filter((row) => !failing.has(row)) : [...rows];
}
