import { z } from 'zod';
import { type Dataset, subset, withoutAnswers } from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import type { StateDict } from '../models/index.js';
import { type OptimizerSpec, optimizers, type ParameterSet } from '../training/index.js';
import type { Bench, Runnable } from './bench.js';
import { sumOfSpent } from './spent.js';
import { ownValues, trainWeights } from './train-weights.js';
import { addWork, forwardCost, noWork, type Work } from './work.js';

/** Options of a transform that trains before a trial. */
export const rateSearchOptions = {
  optimizer: z
    .enum(optimizers.names() as [string, ...string[]])
    .default('adamw')
    .describe('optimizer, with the options of a search'),
  learningRates: z
    .array(z.number().positive())
    .min(1)
    .default([1e-2, 1e-3, 1e-4])
    .describe(
      'learning rates to try; the one that is best on examples held out is kept, or no training where none is better, and all are charged',
    ),
};

/** A training before a trial, whose learning rate is searched. */
export interface RateSearch extends Pick<Bench, 'batchSize' | 'signal'> {
  /** What is trained. */
  readonly on: Runnable;
  /** Weights that each run begins with; they stay as they are. */
  readonly start: StateDict;
  /** Examples, of which a part is held out to judge by. */
  readonly examples: Dataset;
  /** The weights whose outputs are trained towards; default the task's own loss. */
  readonly original?: ParameterSet;
  /** Name of the optimizer, which has the options of a search. */
  readonly optimizer: string;
  /** Learning rates to try. */
  readonly learningRates: readonly number[];
  /** Steps of each run. */
  readonly steps: number;
  /** Seed of the trial. */
  readonly seed: number;
  /** Names the draw of what is held out. */
  readonly purpose: string;
}

/** What a search over learning rates before a trial found, and what it cost. */
export interface BestRate {
  /** Values of the run that is best on what was held out; none where the start is as good as the best. */
  readonly params?: ParameterSet;
  /** The steps of that run, and all that was tried; floating-point operations apart. */
  readonly work: Work;
}

/** Examples held out at most. */
const mostHeldOut = 256;

/**
 * Trains at several learning rates, and keeps the run that is best on examples held out, where one is better than the start.
 *
 * @throws InterruptedError after the signal.
 */
export async function trainAtBestRate(search: RateSearch): Promise<BestRate> {
  const { on, start, original: weights, learningRates, steps, seed, batchSize, signal } = search;
  const { task } = on.evaluator;
  const examples = weights ? withoutAnswers(search.examples) : search.examples;
  const { train, judge } = heldOut(examples, seed, search.purpose);
  const optimizer: OptimizerSpec = {
    name: search.optimizer,
    options: optimizers.get(search.optimizer).search.options,
  };
  const original = weights && { weights };
  const judgeCost = (judge.size / batchSize) * forwardCost * (original ? 2 : 1);
  const lossOf = async (params: ParameterSet) => {
    const { metrics } = await on.evaluator.evaluate(params, judge, original ? { original } : {});
    const found = metrics[original ? task.roles.divergence : task.roles.loss] ?? Number.NaN;
    return Number.isFinite(found) ? found : Number.POSITIVE_INFINITY;
  };
  let least = await lossOf(ownValues(start));
  let best: { params: ParameterSet; work: Work } | undefined;
  let tried = judgeCost;
  let spent = noWork.spent;
  for (const learningRate of learningRates) {
    const params = ownValues(start);
    const { work, converged } = await trainWeights({
      ...{ on, params, dataset: train, steps, batchSize, seed, optimizer, learningRate, signal },
      ...(original && { loss: { task: 0, divergence: 1 }, reference: original }),
    });
    tried += work.evaluations + judgeCost;
    spent = sumOfSpent([spent, work.spent]);
    if (!converged) continue;
    const found = await lossOf(params);
    if (found >= least) continue;
    least = found;
    best = { params, work };
  }
  if (!best) return { work: { ...noWork, tried, spent } };
  return {
    params: best.params,
    work: { ...addWork(best.work, { tried: tried - best.work.evaluations }), spent },
  };
}

/** A fifth of the examples apart, to judge by. */
function heldOut(examples: Dataset, seed: number, purpose: string): { train: Dataset; judge: Dataset } {
  const count = Math.min(mostHeldOut, Math.floor(examples.size / 5));
  if (count === 0) return { train: examples, judge: examples };
  const order = new RandomStream(seed, purpose).permutation(examples.size);
  const [judge, train] = [order.slice(0, count), order.slice(count)];
  return { train: subset(examples, train), judge: subset(examples, judge) };
}

/** Steps that a share of a trial of so many is, at least one. */
export function stepsOfShare(share: number, stepsOfTrial: number): number {
  return Math.max(1, Math.round(share * stepsOfTrial));
}
