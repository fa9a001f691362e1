import { Registry } from '../../registry/index.js';
import { canonicalizeTransform } from './canonicalize.js';
import { clipTransform } from './clip.js';
import { clipEdgeTransform } from './clip-edge.js';
import { clipProfileTransform } from './clip-profile.js';
import { noiseTransform, pruneTransform, quantizeTransform } from './degrade.js';
import { distilTransform } from './distil.js';
import { healTransform } from './heal.js';
import { interpolateTransform } from './interpolate.js';
import { partialClipTransform, subtractTransform } from './partial-clip.js';
import { plainMlpTransform } from './plain-mlp.js';
import { pretrainTransform } from './pretrain.js';
import { redistilBlocksTransform } from './redistil.js';
import { rescaleTransform } from './rescale.js';
import { resetTransform } from './reset.js';
import { resetDormantTransform } from './reset-dormant.js';
import type { Transform } from './transform.js';
import { unmixTransform } from './unmix.js';
import { wordVectorsTransform } from './word-vectors.js';

export { canonicalizeOptions, canonicalizeTransform, canonicalizeWeights } from './canonicalize.js';
export { clipRaised, clipTransform, type Raised, raisedOptions } from './clip.js';
export { clipEdgeOptions, clipEdgeTransform, clipToEdge, marchenkoPasturMedian, noiseEdge } from './clip-edge.js';
export { clipProfileOptions, clipProfileTransform, clipToProfile } from './clip-profile.js';
export {
  addNoise,
  noiseOptions,
  noiseTransform,
  pruneOptions,
  pruneSmallest,
  pruneTransform,
  quantizeOptions,
  quantizeRows,
  quantizeTransform,
} from './degrade.js';
export { type DistilOptions, distilOptions, distilOutputs, distilTransform } from './distil.js';
export { type HealOptions, healOptions, healTransform, healWeights } from './heal.js';
export { interpolateOptions, interpolateTransform, interpolateWeights } from './interpolate.js';
export {
  clipPartly,
  partialClipOptions,
  partialClipTransform,
  subtractOptions,
  subtractTop,
  subtractTransform,
} from './partial-clip.js';
export { type PlainMlpOptions, plainFeedForward, plainMlpOptions, plainMlpTransform } from './plain-mlp.js';
export { type PretrainOptions, pretrainOptions, pretrainTransform, pretrainWeights } from './pretrain.js';
export {
  type RedistilBlocksOptions,
  redistilBlocks,
  redistilBlocksOptions,
  redistilBlocksTransform,
} from './redistil.js';
export { rescaleOptions, rescaleTransform, rescaleWeights } from './rescale.js';
export { resetOptions, resetTransform, resetWeights } from './reset.js';
export {
  type DormantUnits,
  dormantUnits,
  resetDormantOptions,
  resetDormantTransform,
  resetUnits,
} from './reset-dormant.js';
export type {
  AttackerFacts,
  StartFacts,
  Transform,
  TransformContext,
  TransformOffer,
  TransformStep,
} from './transform.js';

export { type UnmixOptions, unmixOptions, unmixTransform, unmixWeights } from './unmix.js';
export { wordVectorsOptions, wordVectorsTransform } from './word-vectors.js';

/** All transforms by name. */
export const transforms = new Registry<Transform>('transform', [
  clipTransform,
  rescaleTransform,
  resetTransform,
  partialClipTransform,
  clipEdgeTransform,
  clipProfileTransform,
  subtractTransform,
  canonicalizeTransform,
  quantizeTransform,
  pruneTransform,
  noiseTransform,
  interpolateTransform,
  healTransform,
  resetDormantTransform,
  redistilBlocksTransform,
  distilTransform,
  unmixTransform,
  plainMlpTransform,
  pretrainTransform,
  wordVectorsTransform,
] as Transform[]);
