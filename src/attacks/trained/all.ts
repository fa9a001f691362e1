import { z } from 'zod';
import { searchLearningRate } from '../search.js';
import type { SearchPoint } from '../space.js';
import type { Averaging } from '../weight-average.js';
import type { MakeTrainable } from './trainable.js';
import type { SearchContext, TrainedPart } from './trained-part.js';

/**
 * The search of an attack that trains the model.
 *
 * @param trainable - What of its weights; default all.
 * @param average - How they are averaged over the steps, by the point of the search, where that is what is used; default they are not.
 */
export function searchFineTuning(
  { model, prepared, judge, train, optimizer, shared, budget, programs, evaluator, log }: SearchContext,
  trainable?: MakeTrainable,
  average?: (point?: SearchPoint) => Averaging,
) {
  return searchLearningRate(
    async (seed, point) => {
      const { weights, work } = await prepared(seed, point);
      return {
        ...shared,
        evaluator,
        model,
        weights,
        before: work,
        train: train(seed),
        optimizer,
        programs,
        trainable,
        ...(average && { average: average(point) }),
        ...(judge && { judge: await judge(seed, point) }),
      };
    },
    budget,
    log,
  );
}

/** Trains all weights. */
export const allWeights: TrainedPart<Record<string, never>> = {
  name: 'all',
  description: 'train all weights',
  label: 'fine-tuning',
  options: z.strictObject({}),
  trains: true,
  search: (context) => searchFineTuning(context),
};
