export { type Architecture, buildForward, type ForwardPass, type ModelSpec } from './architecture.js';
export { type CnnConfig, cnn } from './cnn.js';
export { architectures, initializeModel, loadModel, type Model, requireNoModel, saveModel } from './directory.js';
export { type MlpConfig, mlp } from './mlp.js';
export { parseOptions } from './options.js';
export { matchesAny } from './patterns.js';
export { type Named, Registry } from './registry.js';
export {
  cloneWeights,
  initializeWeights,
  parameterSet,
  requireWeights,
  type StateDict,
  type Weight,
} from './state-dict.js';
export { suggest } from './suggest.js';
