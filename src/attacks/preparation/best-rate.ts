import { z } from 'zod';
import { type Dataset, subset, withoutAnswers } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { StateDict } from '../../models/index.js';
import { type OptimizerSpec, optimizers, type ParameterSet, stepFlops } from '../../training/index.js';
import { sumOfSpent } from '../trial/spent.js';
import { addWork, noWork, type Work } from '../trial/work.js';
import type { Bench, Runnable } from './bench.js';
import { ownValues, trainWeights } from './train-weights.js';

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
      'learning rates to try, a few steps each; the one that is best on examples held out goes on, or none where none is better, and all are part of the steps',
    ),
};

/** Option: how much of a trial a training before it is. */
export const shareOption = z
  .number()
  .gt(0)
  .lt(1)
  .default(0.25)
  .describe("share of a trial's steps that it takes, all learning rates included");

/** Shares of a trial's steps that a search chooses from, the usual one first. */
export const searchedShares = [0.5, 0.25, 0.75] as const;

/** Option: how much of a trial a training before it is, searched where it is not given; `included`: what is a part of it. */
export const searchedShareOption = (included: string) =>
  z
    .number()
    .gt(0)
    .lt(1)
    .optional()
    .describe(`share of a trial's steps that it takes, ${included}; default ${searchedShares.join(', ')}, searched`);

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
  /** Steps of the trial that one of its own is, by what they compute ({@link stepCost}). */
  readonly costOfStep: number;
  /** Steps of the trial that all of it takes at most: tries, looks at what was held out, and the run that is kept. */
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
  /** What that run and all that was tried took, as steps of the trial too; floating-point operations apart. */
  readonly work: Work;
}

/** Examples held out at most. */
const mostHeldOut = 256;

/** Share of the steps that looks at what was held out take at most, unless that is less than one batch. */
const lookShare = 1 / 8;

/** Share of what is left that all tries take together. */
const tryShare = 1 / 3;

/**
 * Trains a few steps at each of several learning rates, and goes on from the weights that are best on examples held out, where these are
 * better than the start, each time along half a cosine. Kept are the best of all weights that were looked at. All of it takes no more
 * steps than it is given: a look at examples, and the outputs that are trained towards, count as the share of a step that they compute.
 *
 * @throws InterruptedError after the signal.
 */
export async function trainAtBestRate(search: RateSearch): Promise<BestRate> {
  const { on, start, original: weights, costOfStep, seed, batchSize, signal } = search;
  /** Here in steps of its own, until all is done. */
  const steps = search.steps / costOfStep;
  const { task } = on.evaluator;
  const examples = weights ? withoutAnswers(search.examples) : search.examples;
  const { forward, step } = stepFlops(on.model, examples, Math.min(batchSize, examples.size), task);
  const pass = forward / step;
  const ofStep = 1 + (weights ? pass : 0);
  // One more pass is of what is trained towards.
  const [ofTarget, most] = [weights ? 1 : 0, mostJudged(examples)];
  const planned = search.learningRates.map((_, index) => {
    const count = search.learningRates.length - index;
    /** At the start, at what each rate came to, and at the end. */
    const looks = count === 1 ? 2 : count + 2;
    const affordable = Math.floor((lookShare * steps * batchSize) / (pass * (looks + ofTarget)));
    const judged = Math.min(most, Math.max(batchSize, affordable));
    const look = (judged / batchSize) * pass;
    /** Its own steps, where so much is looked at. */
    const after = (seen: number) => Math.floor((steps - seen * look) / ofStep + rounding);
    return { count, judged, look, looks, after };
  });
  // Fewer rates where there are no steps for all to be tried, and gone on with.
  const { count, judged, look, looks, after } =
    planned.find((each) => each.after(each.looks + ofTarget) >= 3 * each.count) ?? planned[planned.length - 1];
  const { train, judge } = heldOut(examples, seed, search.purpose, judged);
  const original = weights && (await on.evaluator.original(weights, judge));
  // What is too much to keep is computed at each look again.
  const again = original && 'weights' in original ? 1 : 0;
  const own = after(looks * (1 + again) + (again ? 0 : ofTarget));
  if (own < 1) return { work: noWork };
  const { rates, tries, rest } = splitSteps(search.learningRates.slice(0, count), own);
  const optimizer: OptimizerSpec = {
    name: search.optimizer,
    options: optimizers.get(search.optimizer).search.options,
  };
  let cost = again ? 0 : ofTarget * look;
  const lossOf = async (params: ParameterSet) => {
    cost += (1 + again) * look;
    const { metrics } = await on.evaluator.evaluate(params, judge, original ? { original } : {});
    const found = metrics[original ? task.roles.divergence : task.roles.loss] ?? Number.NaN;
    return Number.isFinite(found) ? found : Number.POSITIVE_INFINITY;
  };
  let spent = noWork.spent;
  /** The best of all, and the best that was trained. */
  let least = await lossOf(ownValues(start));
  let best: Trained | undefined;
  /** Trains some weights further, and keeps them where they are the best. */
  const trainOn = async (from: Trained, count: number) => {
    const params = new Map(Array.from(from.params, ([name, values]) => [name, values.slice()]));
    const { work, converged } = await trainWeights({
      ...{ on, params, dataset: train, steps: count, first: from.work.steps, batchSize, seed, optimizer, signal },
      ...{ learningRate: from.learningRate, referenceCost: pass },
      ...(weights && { loss: { task: 0, divergence: 1 }, reference: { weights } }),
    });
    cost += work.evaluations;
    spent = sumOfSpent([spent, work.spent]);
    if (!converged) return;
    const found = await lossOf(params);
    if (found >= least) return;
    least = found;
    best = { params, learningRate: from.learningRate, work: addWork(from.work, work) };
  };
  for (const learningRate of rates) {
    await trainOn({ params: ownValues(start), learningRate, work: noWork }, tries);
  }
  if (best && rest > 0) await trainOn(best, rest);
  const { evaluations = 0, tokens } = best?.work ?? {};
  const work: Work = {
    ...{ steps: Math.ceil(cost * costOfStep - rounding), spent },
    ...{ evaluations: evaluations * costOfStep, tried: (cost - evaluations) * costOfStep },
    ...(tokens !== undefined && { tokens }),
  };
  return { ...(best && { params: best.params }), work };
}

/** Weights that were trained, at which rate, and what they took. */
interface Trained {
  readonly params: ParameterSet;
  readonly learningRate: number;
  readonly work: Work;
}

/** Below any part of a step. */
const rounding = 1e-9;

/** How many examples are held out at most: a fifth of them. */
const mostJudged = ({ size }: Dataset) => Math.min(mostHeldOut, Math.floor(size / 5)) || size;

/** So many examples apart, to judge by; all where there is none to spare. */
function heldOut(examples: Dataset, seed: number, purpose: string, count: number): { train: Dataset; judge: Dataset } {
  if (count >= examples.size) return { train: examples, judge: examples };
  const order = new RandomStream(seed, purpose).permutation(examples.size);
  const [judge, train] = [order.slice(0, count), order.slice(count)];
  return { train: subset(examples, train), judge: subset(examples, judge) };
}

/**
 * How steps are divided among learning rates: so many for a try of each, the first rates alone where there are not enough for all, and the
 * rest for the best of them. A single rate needs no tries and has all.
 */
export function splitSteps(
  learningRates: readonly number[],
  steps: number,
): { readonly rates: readonly number[]; readonly tries: number; readonly rest: number } {
  if (learningRates.length === 1) return { rates: learningRates, tries: steps, rest: 0 };
  const rates = learningRates.slice(0, Math.max(1, steps - 1));
  const tries = Math.max(1, Math.floor((tryShare * steps) / rates.length));
  return { rates, tries, rest: steps - rates.length * tries };
}

/** Steps that a share of a trial of so many is, at least one. */
export function stepsOfShare(share: number, stepsOfTrial: number): number {
  return Math.max(1, Math.round(share * stepsOfTrial));
}
