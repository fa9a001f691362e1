import { z } from 'zod';
import type { StateDict, Weight } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import type { Transform } from './transform.js';

/** Options of the transform `reset`. */
export const resetOptions = z.strictObject({
  include: z
    .array(z.string().min(1))
    .min(1)
    .default(['fc*'])
    .describe('names of the weights to draw anew, * stands for any characters'),
});

/**
 * The adaptive attack that gives up what a lock hurt most: takes the weights whose names match from `fresh` and the others
 * from the released model.
 *
 * @param include - Patterns of whole names, `*` stands for any characters.
 * @throws InputError when no weight matches, since that would be plain fine-tuning under another name.
 */
export function resetWeights(weights: StateDict, fresh: StateDict, include: readonly string[]): Map<string, Weight> {
  const matches = matchesAny(include);
  const names = [...weights.keys()].filter(matches);
  if (names.length === 0)
    throw new InputError(`reset: expected a pattern that matches a weight, got ${include.join(', ')}`);
  return new Map([...weights].map(([name, weight]) => [name, (matches(name) ? fresh.get(name) : undefined) ?? weight]));
}

/** Gives up the layers that a lock hurt most. */
export const resetTransform: Transform<z.output<typeof resetOptions>> = {
  name: 'reset',
  description: 'draw some layers anew, by default all linear ones',
  options: resetOptions,
  isSeeded: true,
  apply: ({ weights, fresh }, { include }) => resetWeights(weights, fresh(), include),
};
