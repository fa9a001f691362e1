import { z } from 'zod';
import { searchLearningRate } from '../search/search.js';
import type { SearchPoint } from '../search/space.js';
import type { FineTuneOptions } from '../trial/fine-tune.js';
import type { MakeTrainable } from './trainable.js';
import type { SearchContext, TrainedPart } from './trained-part.js';

/**
 * The search of an attack that trains the model.
 *
 * @param trainable - What of its weights; default all.
 * @param atPoint - What is trained, and how it is averaged over the steps, where that depends on the point of the search; default it
 *   does not.
 */
export function searchFineTuning(
  { model, prepared, judge, train, optimizer, shared, budget, programs, evaluator, log }: SearchContext,
  trainable?: MakeTrainable,
  atPoint?: (point?: SearchPoint) => Pick<FineTuneOptions, 'trainable' | 'average'>,
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
        ...atPoint?.(point),
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
