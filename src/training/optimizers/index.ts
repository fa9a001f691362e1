import { Registry } from '../../registry/index.js';
import { adadeltaEntry } from './adadelta.js';
import { adagradEntry } from './adagrad.js';
import { adamEntry, adamwEntry } from './adam.js';
import { kfacEntry } from './kfac.js';
import { lbfgsEntry } from './lbfgs.js';
import { lionEntry } from './lion.js';
import { mezoEntry } from './mezo.js';
import { muonEntry } from './muon.js';
import { naturalGradientEntry } from './natural-gradient.js';
import type { OptimizerEntry } from './optimizer.js';
import { psgdKronEntry } from './psgd-kron.js';
import { psgdXmatEntry } from './psgd-xmat.js';
import { rmspropEntry } from './rmsprop.js';
import { scheduleFreeAdamwEntry } from './schedule-free.js';
import { sgdEntry } from './sgd.js';
import { shampooEntry } from './shampoo.js';
import { soapEntry } from './soap.js';
import { sophiaEntry } from './sophia.js';

export { adadelta } from './adadelta.js';
export { adagrad } from './adagrad.js';
export { adam, adamw } from './adam.js';
export { kfac } from './kfac.js';
export { lbfgs } from './lbfgs.js';
export { lion } from './lion.js';
export { mezo } from './mezo.js';
export { muon } from './muon.js';
export { naturalGradient } from './natural-gradient.js';
export type {
  FactorQuestion,
  LayerFactors,
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
export { rmsprop } from './rmsprop.js';
export { scheduleFreeAdamw } from './schedule-free.js';
export { sgd } from './sgd.js';
export { shampoo } from './shampoo.js';
export { soap } from './soap.js';
export { sophia } from './sophia.js';

/** All optimizers by name; they follow torch.optim where it has them, else the library that their comments name. */
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
  rmspropEntry,
  lionEntry,
  muonEntry,
  scheduleFreeAdamwEntry,
  soapEntry,
  shampooEntry,
  sophiaEntry,
  mezoEntry,
  kfacEntry,
]);
