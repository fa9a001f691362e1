import { Registry } from '../../registry/index.js';
import { clipTransform } from './clip.js';
import { rescaleTransform } from './rescale.js';
import { resetTransform } from './reset.js';
import type { Transform } from './transform.js';

export { clipRaised, clipTransform, type Raised, raisedOptions } from './clip.js';
export { rescaleOptions, rescaleTransform, rescaleWeights } from './rescale.js';
export { resetOptions, resetTransform, resetWeights } from './reset.js';
export type { StartFacts, Transform, TransformContext, TransformOffer, TransformStep } from './transform.js';

/** All transforms by name. */
export const transforms = new Registry<Transform>('transform', [
  clipTransform,
  rescaleTransform,
  resetTransform,
] as Transform[]);
