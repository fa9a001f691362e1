import { z } from 'zod';
import { type Dataset, subset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { parameterSet, type StateDict, type Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { type OptimizerSpec, optimizers, type ParameterSet } from '../../training/index.js';
import type { Bench } from '../bench.js';
import { sumOfSpent } from '../spent.js';
import { ownValues, trainWeights, withValues } from '../train-weights.js';
import { addWork, forwardCost, noWork, type Work } from '../work.js';
import type { Transform } from './transform.js';

/** Options of the transform `heal`. */
export const healOptions = z.strictObject({
  loss: z
    .enum(['auto', 'cross-entropy', 'kl'])
    .default('auto')
    .describe(
      "what is trained towards: the loss of the authorized task, or the released model's outputs (kl); auto: the former where there are examples like those of the authorized task",
    ),
  share: z.number().gt(0).lt(1).default(0.25).describe("share of a trial's steps that it takes"),
  optimizer: z
    .enum(optimizers.names() as [string, ...string[]])
    .default('adamw')
    .describe('optimizer, with the options of a search'),
  learningRates: z
    .array(z.number().positive())
    .min(1)
    .default([1e-2, 1e-3, 1e-4])
    .describe('learning rates to try; the one that is best on examples held out is kept, and all are charged'),
});

/** Parsed {@link healOptions}. */
export type HealOptions = z.output<typeof healOptions>;

/** Examples held out at most. */
const mostHeldOut = 256;

/**
 * Heals weights that something was done to, such as a clip: trains them on what the released model is for, before the unauthorized
 * task. With examples like those of the authorized task by the task's own loss; without them, or when told to, towards the
 * released model's outputs, on the attacker's own examples where there are no others. The head is the released model's.
 *
 * @returns New weights, and what it cost, floating-point operations apart: the steps of the run that was kept, and all that was tried.
 */
export async function healWeights(
  weights: StateDict,
  bench: Bench,
  { loss, share, optimizer: name, learningRates }: HealOptions,
  seed: number,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { released } = bench;
  const { task } = released.evaluator;
  const isTask = loss === 'cross-entropy' || (loss === 'auto' && bench.retain !== undefined && task.loss !== undefined);
  const { train, judge } = heldOut(retainExamples(bench, isTask), seed);
  const steps = stepsOf(share, bench.steps);
  // What the attacked model has otherwise, such as a head, is the released one's here.
  const start = withValues(released.weights, parameterSet(weights));
  const original = { weights: parameterSet(released.weights) };
  const optimizer: OptimizerSpec = { name, options: optimizers.get(name).search.options };
  const judgeCost = (judge.size / bench.batchSize) * forwardCost * (isTask ? 1 : 2);
  let best: { params: ParameterSet; work: Work; loss: number } | undefined;
  let tried = 0;
  let spent = noWork.spent;
  for (const learningRate of learningRates) {
    const params = ownValues(start);
    const { work, converged } = await trainWeights({
      ...{ on: released, params, dataset: train, steps, batchSize: bench.batchSize, seed, optimizer, learningRate },
      ...(!isTask && { loss: { task: 0, divergence: 1 }, reference: original }),
      signal: bench.signal,
    });
    tried += work.evaluations + judgeCost;
    spent = sumOfSpent([spent, work.spent]);
    if (!converged) continue;
    const { metrics } = await released.evaluator.evaluate(params, judge, isTask ? {} : { original });
    const found = metrics[isTask ? task.roles.loss : task.roles.divergence] ?? Number.NaN;
    if (Number.isFinite(found) && (best === undefined || found < best.loss)) best = { params, work, loss: found };
  }
  if (!best) return { weights, work: { ...noWork, tried, spent } };
  return {
    weights: withValues(weights, best.params),
    work: { ...addWork(best.work, { tried: tried - best.work.evaluations }), spent },
  };
}

/** Steps of a healing before a trial of so many. */
function stepsOf(share: number, stepsOfTrial: number): number {
  return Math.max(1, Math.round(share * stepsOfTrial));
}

/** What is trained on: without labels of the authorized task any examples that the model can read will do. */
function retainExamples({ retain, own }: Bench, isTask: boolean): Dataset {
  if (retain) return retain;
  if (!isTask) return own;
  throw new InputError('heal: expected examples like those of the authorized task for cross-entropy, found none');
}

/** A fifth of the examples apart, to judge by. */
function heldOut(examples: Dataset, seed: number): { train: Dataset; judge: Dataset } {
  const count = Math.min(mostHeldOut, Math.floor(examples.size / 5));
  if (count === 0) return { train: examples, judge: examples };
  const order = new RandomStream(seed, 'heal').permutation(examples.size);
  const [judge, train] = [order.slice(0, count), order.slice(count)];
  return { train: subset(examples, train), judge: subset(examples, judge) };
}

/** Trains for what the model is released for, before the trial. */
export const healTransform: Transform<HealOptions> = {
  name: 'heal',
  description: 'train the weights for what the model is released for',
  options: healOptions,
  isSeeded: true,
  works: true,
  label: { alone: 'healed', joined: 'heal' },
  doing: 'training for the authorized task',
  does: 'trains for the authorized task, which is a part of the steps',
  steps: ({ share }, stepsOfTrial) => stepsOf(share, stepsOfTrial),
  apply: async ({ weights, bench, seed, charge }, options): Promise<ReadonlyMap<string, Weight>> => {
    const healed = await healWeights(weights, bench(), options, seed);
    charge(healed.work);
    return healed.weights;
  },
};
