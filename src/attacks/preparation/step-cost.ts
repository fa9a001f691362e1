import { type Dataset, subset, withoutAnswers } from '../../data/index.js';
import { stepFlops } from '../../training/index.js';
import type { Bench, Runnable } from './bench.js';

/** What is trained: a model and its task. */
type Trained = Pick<Runnable, 'model' | 'evaluator'>;

/**
 * What a step on other examples computes, in steps on the attacker's own: texts may be longer than those of his task, or shorter, and logits
 * of a whole vocabulary more than the rest of a model.
 *
 * @param on - What is trained on them.
 * @param beside - What is trained on his own; default the same.
 */
export function stepCost({ own, batchSize }: Bench, examples: Dataset, on: Trained, beside: Trained = on): number {
  return flopsOf(on, examples, batchSize) / flopsOf(beside, own, batchSize);
}

function flopsOf({ model, evaluator }: Trained, examples: Dataset, batchSize: number): number {
  const count = Math.min(batchSize, examples.size);
  return stepFlops(model, ofMeanLength(withoutAnswers(examples)), count, evaluator.task).step;
}

/** One example, of the length that is nearest the mean: batches are as long as their texts. */
function ofMeanLength(dataset: Dataset): Dataset {
  const { lengths } = dataset.examples;
  const own = Array.from(dataset.indices, (index) => lengths?.[index] ?? 0);
  const mean = own.reduce((sum, length) => sum + length, 0) / own.length;
  const far = (length: number) => Math.abs(length - mean);
  return subset(dataset, [own.reduce((best, length, at) => (far(length) < far(own[best]) ? at : best), 0)]);
}
