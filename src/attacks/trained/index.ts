import { Registry } from '../../registry/index.js';
import { allWeights } from './all.js';
import { hiddenLayers } from './hidden-layers.js';
import { noWeights } from './none.js';
import type { TrainedPart } from './trained-part.js';

export { allWeights, searchFineTuning } from './all.js';
export { hiddenLayers } from './hidden-layers.js';
export { noWeights } from './none.js';
export { type MakeTrainable, someWeights, type Trainable } from './trainable.js';
export type { SearchContext, TrainedPart, TrainedStep } from './trained-part.js';

/** All trained parts by name. */
export const trainedParts = new Registry<TrainedPart>('trained part', [
  allWeights,
  noWeights,
  hiddenLayers,
] as TrainedPart[]);
