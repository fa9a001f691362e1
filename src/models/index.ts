export {
  type Architecture,
  type FeedForward,
  type ForwardPass,
  type Head,
  type HeadNeed,
  imageInput,
  isLike,
  type ModelSpec,
  modelOf,
  modelState,
  smallestBatch,
  smallestExample,
  type Tensors,
} from './architecture.js';
export type {
  CardData,
  CardLock,
  CardMetric,
  ModelCard,
  ReadCard,
} from './card.js';
export { readModelCard, writeModelCard } from './card-files.js';
export { type CardPreprocessing, preprocessingDifferences } from './card-preprocessing.js';
export type { ChangeOptions, WeightChange, WeightWatch } from './changed-weights.js';
export { type CifarResNetConfig, cifarResnets } from './cifar-resnet.js';
export { type CnnConfig, cnn } from './cnn.js';
export { architectures, parseConfig, readConfig } from './config.js';
export {
  initializeModel,
  type LoadOptions,
  loadModel,
  loadOpened,
  openModel,
  type SaveOptions,
  saveChanged,
  saveModel,
  writtenParameters,
} from './directory.js';
export { classWithHead, familyKeys, givesHead, headKind, keysOfHead, kindsOfHead } from './head.js';
export {
  type HubContext,
  type HubFile,
  type HubId,
  type HubPlan,
  type HubSettings,
  openHubModel,
  parseHubId,
} from './hub/index.js';
export { classNames } from './labels.js';
export * from './language/index.js';
export { type MlpConfig, mlp } from './mlp.js';
export type { Model, ModelOnDisk } from './model.js';
export {
  findModelFiles,
  findOldFiles,
  type ModelFiles,
  modelFolder,
  type OldFiles,
  requireApart,
  requireNoModel,
} from './model-files.js';
export { type OtherHead, withOtherHead } from './other-head.js';
export { requirePlainFolder } from './plain-weights.js';
export { pooledLayer, pooledLayers } from './pooled-layer.js';
export { type RebuiltModel, sizeOf, withDeepLayers, withPlainLayers } from './rebuilt.js';
export { type ResNetConfig, resnets } from './resnet.js';
export {
  cloneWeights,
  initializeWeights,
  parameterSet,
  requireWeights,
  type StateDict,
  type Weight,
  type WeightShapes,
} from './state-dict.js';
export type { StateDictPolicy } from './state-dict-policy.js';
export type { CacheShape, DecoderInputs, DecoderOutputs, DecoderPast, KeyValue, TextDecoder } from './text-decoder.js';
export { type VitConfig, vit } from './vit.js';
export { type MatrixShape, matrixShape, type WeightMatrix, weightMatrices } from './weight-matrices.js';
