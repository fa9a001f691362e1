import { z } from 'zod';
import { parameterSet, type StateDict, type Weight } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { type OptimizerSpec, optimizers } from '../../training/index.js';
import { layerOrder } from '../layer-order.js';
import type { Bench } from '../preparation/bench.js';
import { splitSteps } from '../preparation/best-rate.js';
import { blockFitCost, distilBlock } from '../preparation/distil-block.js';
import { stepCost } from '../preparation/step-cost.js';
import { addWork, noWork, type Work } from '../trial/work.js';
import type { Transform } from './transform.js';
import { unmatchedPatterns } from './unmatched.js';

/** Optimizers of the gradient alone: of a block there is nothing else. */
const able = optimizers.entries().flatMap(({ name, search, create }) => (create(search.options).needs ? [] : [name]));

/** Steps of a trial for each block at least: after fewer it is little more than drawn. */
const leastSteps = 10;

/** Options of the transform `redistil-blocks`. */
export const redistilBlocksOptions = z.strictObject({
  include: z
    .array(z.string().min(1))
    .min(1)
    .default(['*'])
    .describe('names of weights whose blocks are made anew, * stands for any characters; never the head'),
  share: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.25)
    .describe(
      `share of a trial's steps that all blocks together take, at least ${leastSteps} steps; where that is less than ${leastSteps} a block, the last blocks alone are made anew`,
    ),
  optimizer: z
    .enum(able as [string, ...string[]])
    .default('adamw')
    .describe('optimizer of the fits, with the options of a search; one that needs the gradient alone'),
  learningRates: z
    .array(z.number().positive())
    .min(1)
    .default([1e-2, 1e-3])
    .describe('learning rates to try, a few steps each; of each block the best goes on, and all are part of the steps'),
});

/** Parsed {@link redistilBlocksOptions}. */
export type RedistilBlocksOptions = z.output<typeof redistilBlocksOptions>;

/** The blocks that are made anew, by the names of their parameters. */
function blocksOf(model: Parameters<typeof layerOrder>[0], include: readonly string[]): string[][] {
  const isMeant = matchesAny(include);
  return layerOrder(model).blocks.flatMap((block) => (block.some(isMeant) ? [[...block]] : []));
}

/** Steps that all blocks of a trial take together, at most. */
const stepsOf = (share: number, ofTrial: number) => Math.max(leastSteps, Math.floor(share * ofTrial));

/**
 * Makes blocks anew: each is drawn afresh and fitted to what the locked one gives for what the locked model feeds it, so that what a
 * lock did to the numbers of its weights, and not to what they compute on such examples, is gone. Blocks are fitted on their own,
 * each with all others as they were, the last ones alone where there are not steps enough for all.
 *
 * @returns New weights, and what it cost, floating-point operations apart.
 */
export async function redistilBlocks(
  weights: StateDict,
  fresh: StateDict,
  bench: Bench,
  { include, share, optimizer: name, learningRates }: RedistilBlocksOptions,
  seed: number,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { attacked, steps: ofTrial, batchSize, signal } = bench;
  const meant = blocksOf(attacked.model, include);
  if (meant.length === 0)
    throw new InputError(`redistil-blocks: expected a block with ${include.join(', ')}, found none`);
  const dataset = bench.retain ?? bench.own;
  const ofStep = stepCost(bench, dataset, attacked);
  const optimizer: OptimizerSpec = { name, options: optimizers.get(name).search.options };
  const together = stepsOf(share, ofTrial);
  const blocks = meant.slice(-Math.floor(together / leastSteps));
  const steps = Math.floor(together / blocks.length);
  const original = parameterSet(weights);
  const found = new Map<string, Weight>(weights);
  let work = noWork;
  let left = 0;
  for (const names of blocks) {
    const fit = blockFitCost(attacked.model, dataset, names);
    const cost = fit === undefined ? undefined : fit * ofStep;
    let best: Fitted | undefined;
    let taken = 0;
    /** Fits a block further, and keeps it where it is the best. */
    const fitOn = async (from: Fitted, count: number) => {
      const block = new Map(Array.from(from.block, ([name, values]) => [name, values.slice()]));
      const { learningRate, steps: first } = from;
      const loss = await distilBlock({
        ...{ on: attacked, original, block, dataset, optimizer, learningRate, steps: count, first },
        ...{ batchSize, seed, signal },
      });
      taken += count;
      if (loss === undefined || !(loss < (best?.loss ?? Number.POSITIVE_INFINITY))) return;
      best = { loss, block, learningRate, steps: first + count };
    };
    const { rates, tries, rest } = splitSteps(learningRates, Math.floor(steps / (cost ?? 1)));
    const drawn = new Map(names.map((each) => [each, fresh.get(each)?.data ?? new Float32Array()]));
    for (const learningRate of cost === undefined ? [] : rates) {
      await fitOn({ loss: Number.POSITIVE_INFINITY, block: drawn, learningRate, steps: 0 }, tries);
    }
    if (best && rest > 0) await fitOn(best, rest);
    if (!best) left++;
    const { steps: kept = 0, block = [] } = best ?? {};
    const [evaluations, all] = [kept, taken].map((count) => count * (cost ?? 0));
    work = addWork(work, {
      ...{ evaluations, tried: all - evaluations },
      spent: { steps: taken, samples: taken * Math.min(batchSize, dataset.size), flops: 0 },
    });
    for (const [each, data] of block) found.set(each, { shape: weights.get(each)?.shape ?? [], data });
  }
  work = addWork(work, { steps: Math.ceil(work.evaluations + work.tried - rounding) });
  const of = (count: number, all: number) => `${count} of ${all} blocks`;
  const notes = [
    ...(blocks.length < meant.length
      ? [`redistil-blocks had steps for the last ${of(blocks.length, meant.length)} alone`]
      : []),
    ...(left > 0 ? [`redistil-blocks left ${of(left, blocks.length)} as they were, as no fit was finite`] : []),
  ];
  return { weights: found, work: addWork(work, { notes }) };
}

/** A block that was fitted, and how. */
interface Fitted {
  readonly loss: number;
  readonly block: ReadonlyMap<string, Float32Array>;
  readonly learningRate: number;
  /** Steps of its own. */
  readonly steps: number;
}

/** Below any part of a step. */
const rounding = 1e-9;

/** Fits fresh blocks to the locked ones. */
export const redistilBlocksTransform: Transform<RedistilBlocksOptions> = {
  name: 'redistil-blocks',
  description: 'fit fresh blocks to the inputs and outputs of the locked ones',
  options: redistilBlocksOptions,
  isSeeded: true,
  works: true,
  label: { alone: 'blocks made anew', joined: 'redistil' },
  doing: 'making blocks anew',
  does: 'fits fresh blocks to what the locked ones give, which is a part of the steps',
  steps: ({ share }, stepsOfTrial) => stepsOf(share, stepsOfTrial),
  applies: ({ model }, { include }) =>
    blocksOf(model, include).length > 0 ? undefined : `finds no block with a weight that matches ${include.join(', ')}`,
  unused: ({ weights }, { include }) => unmatchedPatterns('redistil-blocks.include', include, [], weights),
  apply: async ({ weights, fresh, bench, seed, charge }, options): Promise<ReadonlyMap<string, Weight>> => {
    const made = await redistilBlocks(weights, fresh(), bench(), options, seed);
    charge(made.work);
    return made.weights;
  },
};
