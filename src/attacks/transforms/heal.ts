import { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import { parameterSet, type StateDict, type Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { type Bench, mostExamples } from '../preparation/bench.js';
import { rateSearchOptions, shareOption, stepsOfShare, trainAtBestRate } from '../preparation/best-rate.js';
import { stepCost } from '../preparation/step-cost.js';
import { withValues } from '../preparation/train-weights.js';
import type { Work } from '../trial/work.js';
import type { Transform } from './transform.js';

/** Options of the transform `heal`. */
export const healOptions = z.strictObject({
  loss: z
    .enum(['auto', 'cross-entropy', 'kl'])
    .default('auto')
    .describe(
      "what is trained towards: the loss of the authorized task, or the released model's outputs (kl); auto: the former where there are examples like those of the authorized task",
    ),
  share: shareOption,
  ...rateSearchOptions,
});

/** Parsed {@link healOptions}. */
export type HealOptions = z.output<typeof healOptions>;

/**
 * Heals weights that something was done to, such as a clip: trains them on what the released model is for, before the unauthorized
 * task. With examples like those of the authorized task by the task's own loss; without them, or when told to, towards the
 * released model's outputs, on the attacker's own examples, or those that he has without labels, where there are no others. The head is the released model's.
 *
 * @returns New weights, the same where no run did better, and what it cost, floating-point operations apart.
 */
export async function healWeights(
  weights: StateDict,
  bench: Bench,
  { loss, share, optimizer, learningRates }: HealOptions,
  seed: number,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { released, batchSize, signal } = bench;
  const { task } = released.evaluator;
  const isTask = loss === 'cross-entropy' || (loss === 'auto' && bench.retain !== undefined && task.loss !== undefined);
  const examples = retainExamples(bench, isTask);
  const { params, work } = await trainAtBestRate({
    ...{ on: released, examples, costOfStep: stepCost(bench, examples, released), optimizer, learningRates },
    // What the attacked model has otherwise, such as a head, is the released one's here.
    start: withValues(released.weights, parameterSet(weights)),
    ...(!isTask && { original: parameterSet(released.weights) }),
    ...{ steps: stepsOfShare(share, bench.steps), batchSize, seed, signal, purpose: 'heal' },
  });
  if (params) return { weights: withValues(weights, params), work };
  return { weights, work: { ...work, notes: ['heal left the weights alone, as no learning rate made them better'] } };
}

/** What is trained on: without labels of the authorized task any examples that the model can read will do. */
function retainExamples(bench: Bench, isTask: boolean): Dataset {
  if (bench.retain) return bench.retain;
  if (!isTask) return mostExamples(bench, bench.own, bench.unlabelled);
  throw new InputError(`heal: expected ${examplesOfTask}, found none`);
}

const examplesOfTask = 'examples like those of the authorized task for cross-entropy';

/** Trains for what the model is released for, before the trial. */
export const healTransform: Transform<HealOptions> = {
  name: 'heal',
  description: 'train the weights for what the model is released for',
  options: healOptions,
  isSeeded: true,
  works: true,
  onUnlabelled: true,
  label: { alone: 'healed', joined: 'heal' },
  doing: 'training for the authorized task',
  does: 'trains for the authorized task, which is a part of the steps',
  steps: ({ share }, stepsOfTrial) => stepsOfShare(share, stepsOfTrial),
  lacks: ({ loss }, { hasRetain }) => (loss === 'cross-entropy' && !hasRetain ? examplesOfTask : undefined),
  apply: async ({ weights, bench, seed, charge }, options): Promise<ReadonlyMap<string, Weight>> => {
    const healed = await healWeights(weights, bench(), options, seed);
    charge(healed.work);
    return healed.weights;
  },
};
