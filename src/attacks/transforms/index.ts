import type { z } from 'zod';
import type { ModelSpec, StateDict } from '../../models/index.js';
import { parseOptions, Registry } from '../../registry/index.js';
import { clipTransform } from './clip.js';
import { rescaleTransform } from './rescale.js';
import { resetTransform } from './reset.js';
import type { Transform, TransformStep } from './transform.js';

export { clipRaised, type Raised, raisedOptions } from './clip.js';
export { rescaleOptions, rescaleWeights } from './rescale.js';
export { resetOptions, resetWeights } from './reset.js';
export type { Transform, TransformContext, TransformStep } from './transform.js';

/** All transforms by name. */
export const transforms = new Registry<Transform>('transform', [
  clipTransform,
  rescaleTransform,
  resetTransform,
] as Transform[]);

/**
 * Applies transforms one after another.
 *
 * @param fresh - Fresh weights of the same architecture, by the trial's seed.
 * @returns The transformed weights by the trial's seed; what does not depend on the seed is computed once.
 */
export function transformWeights(
  model: ModelSpec,
  released: StateDict,
  steps: readonly TransformStep[],
  fresh: (seed: number) => StateDict,
): (seed: number) => StateDict {
  const parsed = steps.map(({ name, options }) => {
    const transform = transforms.get(name);
    return { transform, options: parseOptions(transform.options as z.ZodObject, options, name) };
  });
  const firstSeeded = parsed.findIndex(({ transform }) => transform.isSeeded);
  const split = firstSeeded === -1 ? parsed.length : firstSeeded;
  const apply = (start: StateDict, part: typeof parsed, seed: number) =>
    part.reduce<StateDict>(
      (weights, { transform, options }) => transform.apply({ model, weights, fresh: () => fresh(seed) }, options),
      start,
    );
  const common = apply(released, parsed.slice(0, split), 0);
  return (seed) => apply(common, parsed.slice(split), seed);
}
