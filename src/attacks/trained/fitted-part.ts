import { type Dataset, textsApart } from '../../data/index.js';
import { parameterSet, type StateDict } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import type { Evaluator, ParameterSet } from '../../training/index.js';
import { featuresOf } from '../frozen/features.js';
import type { Features, SeededFeatures } from '../frozen/frozen-use.js';
import type { TrainedPart } from './trained-part.js';

/** What parts that fit a logistic regression have in common: the model stays as it is, and there is no learning rate. */
export const fittedPart = {
  trains: false,
  // One search, whatever optimizers train the model: this is what fits the regression.
  choose: ([first]) => [{ ...first, name: 'lbfgs', options: undefined, schedule: undefined }],
  budget: (budget) => ({
    ...budget,
    decades: [0],
    refine: false,
    alsoSearchSeeds: true,
    method: undefined,
    choices: undefined,
  }),
  applies: ({ model }) =>
    taskOf(model).answers ? undefined : 'need examples with an answer each, which the unauthorized task has not',
} satisfies Partial<TrainedPart>;

/** The point of what {@link fittedPart} searches: its budget leaves out all that a search varies. */
export const noPoint = undefined;

/** Weights whose features are kept, the last used ones: each may take 512 MB. */
const keptWeights = 4;

/** What features are computed of, by seed. */
export interface SeededWeights {
  /** What stands for the weights of a seed: seeds with the same have the same. */
  weightsOf(seed: number): unknown;
  /** The weights, the floating-point operations that they took, and what computes the features with them. */
  given(seed: number): Promise<{
    readonly weights: StateDict;
    readonly evaluator: Evaluator;
    readonly flops?: number;
  }>;
}

/**
 * What a regression is fitted to, by data set and seed, computed once for each weights.
 *
 * @param most - See {@link featuresOf}.
 */
export function featuresBySeed({ weightsOf, given }: SeededWeights, most: number): SeededFeatures {
  const known = new Map<unknown, Map<Dataset, Promise<Features>>>();
  const compute = async (dataset: Dataset, seed: number) => {
    const { weights, evaluator, flops } = await given(seed);
    return counted(evaluator, flops ?? 0, () => viewsOf(evaluator, parameterSet(weights), dataset, most));
  };
  return {
    weightsOf,
    of(dataset, seed) {
      const key = weightsOf(seed);
      const own = known.get(key) ?? new Map<Dataset, Promise<Features>>();
      known.delete(key);
      known.set(key, own);
      for (const oldest of known.keys()) {
        if (known.size <= keptWeights) break;
        known.delete(oldest);
      }
      const found = own.get(dataset) ?? compute(dataset, seed);
      own.set(dataset, found);
      return found;
    },
  };
}

/** What is the same for all seeds with the same weights, computed once for these. */
export function onceByWeights<T>(
  weightsOf: SeededWeights['weightsOf'],
  compute: (seed: number) => Promise<T>,
): (seed: number) => Promise<T> {
  const known = new Map<unknown, Promise<T>>();
  return (seed) => {
    const key = weightsOf(seed);
    const found = known.get(key) ?? compute(seed);
    known.set(key, found);
    return found;
  };
}

/** Numbers of a pair that {@link compared} gives, over those of one of its texts. */
const perText = 4;

/** Widths of {@link viewsOf} for a model that gives so many numbers of an example. */
export function widthsOfViews(width: number, dataset: Dataset, most: number): number[] {
  const compared = textsApart(dataset) ? [perText * Math.min(width, Math.floor(most / perText))] : [];
  return [Math.min(width, most), ...compared];
}

/** What a model gives for each example; of pairs of texts also for each text alone, {@link compared}. */
async function viewsOf(
  evaluator: Evaluator,
  params: ParameterSet,
  dataset: Dataset,
  most: number,
): Promise<Float32Array[]> {
  const whole = await featuresOf(evaluator, params, dataset, most);
  const apart = textsApart(dataset);
  if (!apart) return [whole];
  const [first, second] = apart;
  const each = Math.floor(most / perText);
  const a = await featuresOf(evaluator, params, first, each);
  return [whole, compared(a, await featuresOf(evaluator, params, second, each), dataset.size)];
}

/** Two vectors u and v of each example beside |u − v| and u ∘ v, `[size, 4 width]` (InferSent, arXiv 1705.02364, Section 3.1). */
function compared(a: Float32Array, b: Float32Array, size: number): Float32Array {
  const width = a.length / size;
  const result = new Float32Array(perText * a.length);
  for (const [index, u] of a.entries()) {
    const v = b[index];
    const column = index % width;
    const row = perText * (index - column);
    for (const [part, value] of [u, v, Math.abs(u - v), u * v].entries()) result[row + part * width + column] = value;
  }
  return result;
}

/** What the features took, and their weights, once for all that share them. */
async function counted(
  evaluator: Evaluator,
  ofWeights: number,
  compute: () => Promise<Float32Array[]>,
): Promise<Features> {
  const before = evaluator.flops;
  const views = await compute();
  return { views, flops: ofWeights + evaluator.flops - before };
}
