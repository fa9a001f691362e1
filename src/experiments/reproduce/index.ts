import { Registry } from '../../models/index.js';
import type { Reproduction } from './reproduction.js';
import { table1Vision } from './table1-vision.js';

export {
  type Claim,
  type Reproduction,
  type ReproductionContext,
  type ReproductionResult,
  type ResultAttack,
  type ResultCell,
  type ResultTable,
  type Scale,
  scales,
} from './reproduction.js';

/** All experiments that can be reproduced, by name. */
export const reproductions = new Registry<Reproduction>('experiment', [table1Vision]);
