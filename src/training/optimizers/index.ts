import { Registry } from '../../registry/index.js';
import { adadeltaEntry } from './adadelta.js';
import { adagradEntry } from './adagrad.js';
import { adamEntry, adamwEntry } from './adam.js';
import { lbfgsEntry } from './lbfgs.js';
import { naturalGradientEntry } from './natural-gradient.js';
import type { OptimizerEntry } from './optimizer.js';
import { psgdKronEntry } from './psgd-kron.js';
import { psgdXmatEntry } from './psgd-xmat.js';
import { sgdEntry } from './sgd.js';

export { adadelta } from './adadelta.js';
export { adagrad } from './adagrad.js';
export { adam, adamw } from './adam.js';
export { lbfgs } from './lbfgs.js';
export { naturalGradient } from './natural-gradient.js';
export type {
  Optimizer,
  OptimizerEntry,
  OptimizerSearch,
  OptimizerState,
  OracleNeed,
  ParameterSet,
  ParameterShapes,
  StepOracle,
} from './optimizer.js';
export { psgdKron } from './psgd-kron.js';
export { psgdXmat } from './psgd-xmat.js';
export { sgd } from './sgd.js';

/** All optimizers by name; they follow torch.optim, PSGD follows its authors' library. */
export const optimizers = new Registry<OptimizerEntry>('optimizer', [
  sgdEntry,
  adamEntry,
  adamwEntry,
  adadeltaEntry,
  adagradEntry,
  psgdKronEntry,
  psgdXmatEntry,
  lbfgsEntry,
  naturalGradientEntry,
]);
