import { z } from 'zod';
import { type ModelSpec, modelState } from '../../models/index.js';
import type { StateSpec } from '../../nn/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { optimizers } from '../../training/index.js';
import { layerOrder } from '../layer-order.js';
import { sentences, unmatchedPatterns } from '../transforms/unmatched.js';
import { searchFineTuning } from './all.js';
import { someWeights } from './trainable.js';
import type { TrainedPart } from './trained-part.js';

/** What parts that train not all weights have in common. */
export const partialTraining = {
  trains: true,
  // Others ask for second derivatives, or for the loss somewhere else, of all weights.
  choose: (given) => given.filter((each) => !optimizers.get(each.name).create(each.options).needs),
} satisfies Partial<TrainedPart>;

/** A part that trains some of the model's weights and leaves the others as they are. */
function selected<Options>({
  select,
  ...part
}: Pick<TrainedPart<Options>, 'name' | 'description' | 'label' | 'options'> & {
  /** The names to train, of the model's parameters. */
  select(parameters: readonly StateSpec[], options: Options, model: ModelSpec): readonly string[];
}): TrainedPart<Options> {
  const namesOf = (model: ModelSpec, options: Options) => {
    const parameters = modelState(model).filter(({ kind }) => kind === 'parameter');
    return select(parameters, options, model);
  };
  return {
    ...part,
    ...partialTraining,
    applies: ({ model }, options) =>
      namesOf(model, options).length > 0 ? undefined : 'find no such weight in this model',
    search: (context, options) => {
      const names = new Set(namesOf(context.model, options));
      if (names.size === 0) throw new InputError(`${part.name}: expected weights to train, found none`);
      return searchFineTuning(
        context,
        someWeights((name) => names.has(name)),
      );
    },
  };
}

const patternOptions = z.strictObject({
  include: z.array(z.string().min(1)).min(1).describe('names of the weights to train, * stands for any characters'),
  exclude: z.array(z.string().min(1)).default([]).describe('names of those of them that stay as they are'),
});

/** Trains the weights of some names alone. */
export const weightsByName: TrainedPart<z.output<typeof patternOptions>> = {
  ...selected<z.output<typeof patternOptions>>({
    name: 'by-name',
    description: 'train the weights of some names',
    label: 'fine-tuning of some weights',
    options: patternOptions,
    select: (parameters, { include, exclude }) => {
      const [wanted, unwanted] = [matchesAny(include), matchesAny(exclude)];
      return parameters.flatMap(({ name }) => (wanted(name) && !unwanted(name) ? [name] : []));
    },
  }),
  unused: ({ weights }, { include, exclude }) =>
    sentences(
      unmatchedPatterns('by-name.include', include, [], weights),
      unmatchedPatterns('by-name.exclude', exclude, [], weights),
    ),
};

const topOptions = z.strictObject({
  blocks: z.int().min(0).max(1024).default(2).describe('how many blocks, from the last one; 0: the head alone'),
});

/** Trains the last blocks, and what comes after them. */
export const topLayers = selected<z.output<typeof topOptions>>({
  name: 'top-layers',
  description: 'train the last blocks and the head',
  label: 'fine-tuning of the top layers',
  options: topOptions,
  select: (_, { blocks: count }, model) => {
    const { blocks, head } = layerOrder(model);
    return [...blocks.slice(Math.max(blocks.length - count, 0)), head].flat();
  },
});

const none = z.strictObject({});

/**
 * Trains norms and biases alone, which have one axis: no weight matrix that a lock made large is moved.
 *
 * @see Ben Zaken et al., "BitFit", ACL 2022, for biases.
 */
export const normsAndBiases = selected<Record<string, never>>({
  name: 'norms-biases',
  description: 'train norms and biases alone',
  label: 'fine-tuning of norms and biases',
  options: none,
  select: (parameters) => parameters.flatMap(({ name, shape }) => (shape.length <= 1 ? [name] : [])),
});

/** Parts of attention in the names of transformers: `self_attn.q_proj`, `attention.self.query`, `attn.c_attn`. */
const ofAttention = /(^|\.)(self_attn|attention|attn)\./;
const ofNorm = /norm[^.]*\.(weight|bias)$/i;

/** Trains the projections of attention alone. */
export const attentionAlone = selected<Record<string, never>>({
  name: 'attention',
  description: 'train the projections of attention alone',
  label: 'fine-tuning of attention',
  options: none,
  select: (parameters) =>
    parameters.flatMap(({ name }) => (ofAttention.test(name) && !ofNorm.test(name) ? [name] : [])),
});
