import { type MeanInterval, meanInterval } from '../../linalg/index.js';
import { pairedSeeds } from '../search/measured.js';
import { type Advantage, constantOfFloor, gainsOverFloor, observations } from './assessment.js';
import { type AttackRow, bestRow, type Measure, trainingFirst } from './attack-row.js';

/** What the weights of a released model are worth to an attacker, by one measure: the best attack on it beside the floor. */
export interface Worth {
  /** What was measured. */
  readonly measure: Measure;
  /** The best attack on the released model. */
  readonly attack: AttackRow;
  /** The best that an attacker does without its weights. */
  readonly floor: AttackRow;
  /** The score of always giving the same answer, where that is more than the mean of `floor`; else undefined. */
  readonly constant?: number;
  /** How far the score lies above the floor, over seeds that are paired, or draws of the model, each the mean of its seeds; none of cost. */
  readonly gain?: MeanInterval;
  /** What `gain.n` counts, as that of an advantage. */
  readonly over?: Advantage['over'];
}

/**
 * What the weights of a released model are worth to an attacker; both sides are chosen on the seeds of the searches and measured on others.
 *
 * @returns Nothing where the model or the floor was not attacked with this measure, or no seed measured both.
 */
export function releasedWorth(rows: readonly AttackRow[], measure: Measure): Worth | undefined {
  const of = (side: AttackRow['countsAs']) =>
    bestRow(trainingFirst(rows.filter((row) => row.measure === measure && row.countsAs === side)));
  const [attack, floor] = [of('locked'), of('floor')];
  if (!attack || !floor) return undefined;
  if (measure === 'cost') return { measure, attack, floor };
  const places = pairedSeeds(attack, floor);
  if (places.length === 0) return undefined;
  const constant = constantOfFloor(floor);
  const { values, over } = observations([attack, floor], places, [gainsOverFloor(attack, floor, places)]);
  return {
    ...{ measure, attack, floor },
    ...(constant !== undefined && { constant }),
    ...(over && { over }),
    gain: meanInterval(values[0]),
  };
}
