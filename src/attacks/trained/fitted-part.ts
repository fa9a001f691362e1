import type { Dataset } from '../../data/index.js';
import { parameterSet, type StateDict } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import type { Evaluator } from '../../training/index.js';
import { featuresOf } from '../features.js';
import type { Features } from '../frozen-use.js';
import type { TrainedPart } from './trained-part.js';

/** What parts that fit a logistic regression have in common: the model stays as it is, and there is no learning rate. */
export const fittedPart = {
  trains: false,
  // One search, whatever optimizers train the model: this is what fits the regression.
  choose: ([first]) => [{ ...first, name: 'lbfgs', options: undefined, schedule: undefined }],
  budget: (budget) => ({ ...budget, decades: [0], refine: false, alsoSearchSeeds: true, method: undefined }),
  applies: ({ model }) =>
    taskOf(model).answers ? undefined : 'need examples with an answer each, which the unauthorized task has not',
} satisfies Partial<TrainedPart>;

/**
 * What a regression is fitted to, by data set and seed, computed once for each weights.
 *
 * @param given - The weights of a seed, and what computes the features with them.
 * @param most - See {@link featuresOf}.
 */
export function featuresBySeed(
  given: (seed: number) => Promise<{ readonly weights: StateDict; readonly evaluator: Evaluator }>,
  most: number,
): (dataset: Dataset, seed: number) => Promise<Features> {
  const known = new Map<StateDict, Map<Dataset, Promise<Features>>>();
  return async (dataset, seed) => {
    const { weights, evaluator } = await given(seed);
    const own = known.get(weights) ?? new Map<Dataset, Promise<Features>>();
    known.set(weights, own);
    const found =
      own.get(dataset) ?? counted(evaluator, () => featuresOf(evaluator, parameterSet(weights), dataset, most));
    own.set(dataset, found);
    return found;
  };
}

/** What the features took, once for all that share them. */
async function counted(evaluator: Evaluator, compute: () => Promise<Float32Array>): Promise<Features> {
  const before = evaluator.flops;
  const values = await compute();
  return { values, flops: evaluator.flops - before };
}
