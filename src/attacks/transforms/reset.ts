import { z } from 'zod';
import type { StateDict, Weight } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import type { Transform } from './transform.js';
import { unmatchedPatterns } from './unmatched.js';

const defaultInclude = ['fc*'];
const patterns = z.array(z.string().min(1));

/** Options of the transform `reset`. */
export const resetOptions = z.strictObject({
  include: patterns
    .min(1)
    .default(defaultInclude)
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
  doing: 'drawing layers anew',
  does: 'draws layers anew',
  // The names alone; none of them: not to be tried.
  offer: {
    schema: patterns
      .default(defaultInclude)
      .describe('adaptive attack: draw the weights of these names anew first, * stands for any characters'),
    read: (include) => (patterns.parse(include).length > 0 ? resetOptions.parse({ include }) : undefined),
  },
  applies: ({ weights }, { include }) =>
    [...weights.keys()].some(matchesAny(include)) ? undefined : `finds no weight that matches ${include.join(', ')}`,
  unused: ({ weights }, { include }) => unmatchedPatterns('reset', include, defaultInclude, weights),
  apply: ({ weights, fresh }, { include }) => resetWeights(weights, fresh(), include),
};
