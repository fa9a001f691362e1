import { Registry } from '../../registry/index.js';
import { fig1 } from './fig1.js';
import { fig2 } from './fig2.js';
import { fig3 } from './fig3.js';
import { fig4 } from './fig4.js';
import { frontier } from './frontier.js';
import { prediction } from './prediction.js';
import { pretrainedVision } from './pretrained-vision.js';
import { releases } from './releases.js';
import type { Reproduction } from './reproduction.js';
import { table1Text } from './table1-text.js';
import { table1Vision } from './table1-vision.js';
import { table2 } from './table2.js';
import { table3 } from './table3.js';

export { planReproduction } from './plan.js';
export {
  type AdvantageLeft,
  type AttackReach,
  type Claim,
  type FrontierPoint,
  type LeftByAttack,
  type OverlookedLeft,
  type Reproduction,
  type ReproductionContext,
  type ReproductionResult,
  type ResultAttack,
  type ResultCell,
  type ResultFrontier,
  type ResultPair,
  type ResultPoint,
  type ResultScatter,
  type ResultSeries,
  type ResultTable,
  type Scale,
  type Sweep,
  scales,
  sweeps,
} from './reproduction.js';

/** All experiments that can be reproduced, by name. */
export const reproductions = new Registry<Reproduction>('experiment', [
  table1Vision,
  table1Text,
  table2,
  table3,
  fig1,
  fig2,
  fig3,
  fig4,
  prediction,
  pretrainedVision,
  releases,
  frontier,
]);
