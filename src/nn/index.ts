export {
  type ArraySpecs,
  type Batch,
  type BatchRow,
  batchInput,
  batchSpecs,
  type ExampleSpecs,
  feedsOf,
  weightInput,
} from './arrays.js';
export { attentionBias, multiHeadAttention } from './attention.js';
export { type Initializer, kaimingNormal, kaimingUniform, normal, ones, uniformByFan, zeros } from './initializers.js';
export { conv2d, type LayerOptions, linear } from './layers.js';
export { batchNorm, layerNorm } from './norms.js';
export { type MaskSpec, Scope, type StateKind, type StateSpec } from './scope.js';
