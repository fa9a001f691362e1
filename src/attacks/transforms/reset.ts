import { z } from 'zod';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { laterLayers } from '../layer-order.js';
import type { Transform } from './transform.js';
import { unmatchedPatterns } from './unmatched.js';

const patterns = z.array(z.string().min(1));

/** Share of the blocks that is drawn anew where nothing is said. */
const usualShare = 0.5;

/** Options of the transform `reset`. */
export const resetOptions = z
  .strictObject({
    include: patterns
      .min(1)
      .optional()
      .describe('names of the weights to draw anew, * stands for any characters; default the later layers'),
    share: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        `share of the blocks, from the last one, that is drawn anew with all behind them; default ${usualShare}`,
      ),
  })
  .refine(({ include, share }) => include === undefined || share === undefined, 'expected one of include and share');

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

/** Names of the weights that options draw anew: those that were named, or later layers with their running statistics. */
function namesOf(
  { model, weights }: { model: ModelSpec; weights: StateDict },
  { include, share = usualShare }: z.output<typeof resetOptions>,
): readonly string[] {
  if (include) return [...weights.keys()].filter(matchesAny(include));
  const layer = (name: string) => name.slice(0, name.lastIndexOf('.'));
  const layers = new Set(laterLayers(model, share).map(layer));
  return [...weights.keys()].filter((name) => layers.has(layer(name)));
}

/** Gives up the layers that a lock hurt most. */
export const resetTransform: Transform<z.output<typeof resetOptions>> = {
  name: 'reset',
  description: 'draw some layers anew, by default the later half of them',
  options: resetOptions,
  isSeeded: true,
  doing: 'drawing layers anew',
  does: 'draws layers anew',
  // The names alone; none of them: not to be tried.
  offer: {
    schema: patterns
      .optional()
      .describe(
        'adaptive attack: draw the weights of these names anew first, * stands for any characters; default the later half of the layers',
      ),
    read: (include) => {
      const names = patterns.optional().parse(include);
      if (names?.length === 0) return undefined;
      return names ? resetOptions.parse({ include: names }) : {};
    },
  },
  applies: (start, options) =>
    namesOf(start, options).length > 0 ? undefined : `finds no weight that matches ${options.include?.join(', ')}`,
  unused: ({ weights }, { include = [] }) => unmatchedPatterns('reset', include, [], weights),
  apply: ({ model, weights, fresh }, options) => {
    const { include = namesOf({ model, weights }, options) } = options;
    return resetWeights(weights, fresh(), include);
  },
};
