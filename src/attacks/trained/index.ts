import { Registry } from '../../registry/index.js';
import { allWeights } from './all.js';
import { emaPart, tailAverage } from './averaged.js';
import { hiddenLayers } from './hidden-layers.js';
import { dora, lora } from './lora.js';
import { newHead } from './new-head.js';
import { noWeights } from './none.js';
import { attentionAlone, normsAndBiases, topLayers, weightsByName } from './selected.js';
import { besideTop, preconditioned } from './spectral.js';
import type { TrainedPart } from './trained-part.js';

export { type LayerOrder, layerOrder } from '../layer-order.js';
export { allWeights, searchFineTuning } from './all.js';
export { emaPart, tailAverage } from './averaged.js';
export { hiddenLayers } from './hidden-layers.js';
export { dora, type LoraOptions, lora, loraOptions, loraTargets, makeLora } from './lora.js';
export { type FactoredWeight, type LowRankOptions, lowRank } from './low-rank.js';
export { newHead } from './new-head.js';
export { noWeights } from './none.js';
export { attentionAlone, normsAndBiases, topLayers, weightsByName } from './selected.js';
export { besideTop, betweenLayers, preconditioned } from './spectral.js';
export { type MakeTrainable, someWeights, type Trainable } from './trainable.js';
export type { SearchContext, TrainedPart, TrainedStep } from './trained-part.js';

/** All trained parts by name. */
export const trainedParts = new Registry<TrainedPart>('trained part', [
  allWeights,
  noWeights,
  hiddenLayers,
  weightsByName,
  topLayers,
  normsAndBiases,
  attentionAlone,
  newHead,
  lora,
  dora,
  besideTop,
  preconditioned,
  emaPart,
  tailAverage,
] as TrainedPart[]);
