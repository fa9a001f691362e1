import { z } from 'zod';
import { type ModelSpec, matrixShape, modelState } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { layerOrder } from '../layer-order.js';
import { partOptionsAt } from '../search/space.js';
import { sentences, unmatchedPatterns } from '../transforms/unmatched.js';
import { searchFineTuning } from './all.js';
import { type FactoredWeight, lowRank } from './low-rank.js';
import { partialTraining } from './selected.js';
import { type MakeTrainable, someWeights } from './trainable.js';
import type { TrainedPart } from './trained-part.js';

const names = z.array(z.string().min(1));

/** Ranks that a search chooses from, the usual one first. */
const ranks = [16, 4, 64] as const;

/** Options of the trained parts `lora` and `dora`. */
export const loraOptions = z.strictObject({
  rank: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe(`rank of the factors; default ${ranks.join(', ')}, searched`),
  alpha: z.number().positive().default(32).describe('the product of the factors is multiplied by alpha / rank'),
  include: names
    .optional()
    .describe('names of the weights that get factors, * stands for any characters; default the matrices of all blocks'),
  also: names
    .optional()
    .describe('names of weights that are trained as they are beside them; default those of the head'),
});

/** Parsed {@link loraOptions}. */
export type LoraOptions = z.output<typeof loraOptions>;

/** Layers of transformers' GPT-2 whose weights are stored as `[in, out]`. */
const ofConv1D = /\.(c_attn|c_proj|c_fc)\.weight$/;

/** Which weights of a model get factors, and which are trained as they are. */
export function loraTargets(
  model: ModelSpec,
  { include, also }: LoraOptions,
): { factored: FactoredWeight[]; whole: Set<string> } {
  const { blocks, head } = layerOrder(model);
  const isTarget = include ? matchesAny(include) : (name: string) => blocks.some((block) => block.includes(name));
  const isWhole = also ? matchesAny(also) : (name: string) => head.includes(name);
  const parameters = modelState(model).filter(({ kind }) => kind === 'parameter');
  const factored = parameters.flatMap(({ name, shape }): FactoredWeight[] => {
    const matrix = matrixShape(shape);
    if (!matrix || matrix.rows === 1 || !isTarget(name)) return [];
    const isTransposed = model.architecture.name === 'gpt2' && ofConv1D.test(name);
    const [rows, columns] = isTransposed ? [matrix.columns, matrix.rows] : [matrix.rows, matrix.columns];
    return [{ name, rows, columns, isTransposed }];
  });
  const taken = new Set(factored.map(({ name }) => name));
  const whole = parameters.flatMap(({ name }) => (isWhole(name) && !taken.has(name) ? [name] : []));
  return { factored, whole: new Set(whole) };
}

/** Factors beside the weights of a model, and some of its weights as they are. */
export function makeLora(model: ModelSpec, options: LoraOptions, magnitudes: boolean): MakeTrainable {
  const { factored, whole } = loraTargets(model, options);
  if (factored.length === 0) throw new InputError('lora: expected weights that get factors, found none');
  return (weights, shapes, seed) => {
    const { rank = ranks[0], alpha } = options;
    const factors = lowRank(weights, factored, { rank, alpha, magnitudes, seed });
    const others = someWeights((name) => whole.has(name))(weights, shapes);
    return {
      params: new Map([...factors.params, ...others.params]),
      shapes: new Map([...factors.shapes, ...others.shapes]),
      gradients: async (ofModel) =>
        new Map([...(await factors.gradients(ofModel)), ...(await others.gradients(ofModel))]),
      write: () => factors.write?.(),
    };
  };
}

function loraPart(
  name: string,
  { magnitudes, ...words }: { description: string; label: string; magnitudes: boolean },
): TrainedPart<LoraOptions> {
  return {
    name,
    ...words,
    options: loraOptions,
    ...partialTraining,
    applies: ({ model }, options) =>
      loraTargets(model, options).factored.length > 0 ? undefined : 'find no matrix in this model that gets factors',
    unused: ({ weights }, { include = [], also = [] }) =>
      sentences(
        unmatchedPatterns(`${name}.include`, include, [], weights),
        unmatchedPatterns(`${name}.also`, also, [], weights),
      ),
    searched: () => ({ rank: ranks }),
    search: (context, options) =>
      searchFineTuning(context, undefined, (point) => ({
        trainable: makeLora(context.model, partOptionsAt(name, options, point), magnitudes),
      })),
  };
}

/** Low-rank factors beside frozen weights. */
export const lora = loraPart('lora', {
  description: 'train low-rank factors beside the frozen matrices of all blocks, and the head',
  label: 'LoRA',
  magnitudes: false,
});

/** Low-rank factors beside frozen weights, and the length of each row. */
export const dora = loraPart('dora', {
  description: 'train low-rank factors and the length of each row beside the frozen matrices, and the head',
  label: 'DoRA',
  magnitudes: true,
});
