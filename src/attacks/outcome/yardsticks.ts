import { isMeasuredTrial } from '../search/measured.js';
import type { Advantage } from './assessment.js';
import { type AttackRow, reportedGain, trainingFirst } from './attack-row.js';

/** What gained more with the reported seeds than what an advantage is measured by, on the unlocked model and without its weights. */
export interface Outdone {
  /** On the unlocked model; none where nothing did. */
  readonly unlocked?: AttackRow;
  /** Of the floor, likewise. */
  readonly floor?: AttackRow;
}

/**
 * The attacks that a locked model would be compared with if the reported seeds chose them, where the seeds of the searches chose others.
 * They are picked by the numbers that are reported of them, so chance is on their side, and they measure nothing.
 */
export function outdoneYardsticks(
  rows: readonly AttackRow[],
  { measure, unlocked, floor, constant = -Infinity }: Pick<Advantage, 'measure' | 'unlocked' | 'floor' | 'constant'>,
): Outdone {
  const measured = trainingFirst(
    rows.filter((row) => row.measure === measure && row.result.trials.some(isMeasuredTrial)),
  );
  const above = (chosen: AttackRow, least = -Infinity) => {
    const side = measured.filter(({ countsAs }) => countsAs === chosen.countsAs);
    const best = side.reduce((most, row) => (reportedGain(row) > reportedGain(most) ? row : most), chosen);
    return best !== chosen && reportedGain(best) > least ? best : undefined;
  };
  const [ofUnlocked, ofFloor] = [above(unlocked), above(floor, constant)];
  return { ...(ofUnlocked && { unlocked: ofUnlocked }), ...(ofFloor && { floor: ofFloor }) };
}
