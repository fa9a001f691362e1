import { Registry } from '../../models/index.js';
import { adadeltaEntry } from './adadelta.js';
import { adagradEntry } from './adagrad.js';
import { adamEntry, adamwEntry } from './adam.js';
import type { OptimizerEntry } from './optimizer.js';
import { sgdEntry } from './sgd.js';

export { type AdadeltaOptions, adadelta } from './adadelta.js';
export { type AdagradOptions, adagrad } from './adagrad.js';
export { type AdamOptions, adam, adamw } from './adam.js';
export type { Optimizer, OptimizerEntry, OptimizerState, ParameterSet } from './optimizer.js';
export { type SgdOptions, sgd } from './sgd.js';

/** All optimizers by name; they follow torch.optim. */
export const optimizers = new Registry<OptimizerEntry>('optimizer', [
  sgdEntry,
  adamEntry,
  adamwEntry,
  adadeltaEntry,
  adagradEntry,
]);
