export { type ActivationName, activationNames, activations } from './activations.js';
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
export {
  type AttentionOptions,
  attend,
  attentionBias,
  joinHeads,
  multiHeadAttention,
  type Past,
  splitHeads,
} from './attention.js';
export { type DeepLowRankOptions, type DeepLowRankShape, deepLowRank } from './deep-low-rank.js';
export { type EmbeddingOptions, embedding, embeddingTable } from './embedding.js';
export {
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  normal,
  ones,
  uniformByFan,
  xavierUniform,
  zeros,
} from './initializers.js';
export { conv2d, type LayerOptions, linear } from './layers.js';
export { batchNorm, layerNorm, rmsNorm } from './norms.js';
export { alignByDistance, type LogBuckets, logBucket } from './relative-positions.js';
export { type RotaryFrequencies, type RotaryTables, rotaryRows, rotaryTables, rotate } from './rotary.js';
export { type LayerUse, type MaskSpec, type PartUse, Scope, type StateKind, type StateSpec } from './scope.js';
export { biasOf, maskOf, secondMoment, type Use, type Uses, usesOf } from './uses.js';
