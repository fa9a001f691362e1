import { z } from 'zod';
import { parameterSet, type StateDict, type Weight, withPlainLayers } from '../../models/index.js';
import {
  createOptimizer,
  createSchedule,
  type OptimizerSpec,
  optimizers,
  type ParameterSet,
  PartFits,
  runSteps,
} from '../../training/index.js';
import type { Bench } from '../preparation/bench.js';
import { shareOption, splitSteps, stepsOfShare } from '../preparation/best-rate.js';
import { inputBatches } from '../preparation/input-batches.js';
import { stepCost } from '../preparation/step-cost.js';
import { addWork, forwardCost, noWork, type Work } from '../trial/work.js';
import type { Transform, TransformContext } from './transform.js';

/** Options of the transform `plain-mlp`. */
export const plainMlpOptions = z.strictObject({
  share: shareOption,
  learningRates: z
    .array(z.number().positive())
    .min(1)
    .default([3e-3, 1e-3])
    .describe('learning rates to try, with AdamW, a few steps each; the best goes on, and all are part of the steps'),
});

/** Parsed {@link plainMlpOptions}. */
export type PlainMlpOptions = z.output<typeof plainMlpOptions>;

const optimizer: OptimizerSpec = { name: 'adamw', options: optimizers.get('adamw').search.options };

/** Plain layers that were fitted, and how. */
interface Fitted {
  readonly loss: number;
  readonly params: ParameterSet;
  readonly learningRate: number;
  /** Steps of its own. */
  readonly steps: number;
}

/** Below any part of a step. */
const rounding = 1e-9;

/**
 * Puts plain feed-forward layers in the place of deep networks of low rank (the lock `dlr`), each fitted to what the network reads and gives.
 *
 * @returns Weights of the plain model, and what it cost, floating-point operations apart.
 */
export async function plainFeedForward(
  { model, weights, fresh, seed }: Pick<TransformContext, 'model' | 'weights' | 'fresh' | 'seed'>,
  bench: Bench,
  { share, learningRates }: PlainMlpOptions,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { attacked, retain, own, batchSize, steps: ofTrial, signal } = bench;
  const plain = withPlainLayers(model);
  const dataset = retain ?? own;
  const batches = inputBatches(model, dataset, { batchSize, seed });
  const fits = new PartFits(model, parameterSet(weights), plain, attacked.programs);
  // Forward for what the networks gave, and no more than a step of training to fit layers to it.
  const cost = (1 + forwardCost) * stepCost(bench, dataset, attacked);
  const { rates, tries, rest } = splitSteps(learningRates, Math.floor(stepsOfShare(share, ofTrial) / cost + rounding));
  const drawn = fresh();
  let best: Fitted | undefined;
  let taken = 0;
  /** Fits the layers further, and keeps them where they are the best. */
  const fitOn = async (from: Fitted, count: number) => {
    const params = new Map(Array.from(from.params, ([name, values]) => [name, values.slice()]));
    const last = Math.max(1, Math.floor(count / 4));
    let loss = 0;
    await runSteps({
      params,
      shapes: new Map(plain.added.map(({ name, shape }) => [name, shape])),
      compute: (current, step) => fits.compute(current, batches.at(from.steps + step)),
      optimizer: createOptimizer(optimizer),
      learningRate: from.learningRate,
      schedule: createSchedule({ name: 'cosine' }, batches.stepsPerEpoch),
      steps: count,
      signal,
      onDiverged: () => {
        loss = Number.POSITIVE_INFINITY;
        return 'stop';
      },
      afterStep: (report) => {
        if (report.step > count - last) loss += report.loss / last;
        return undefined;
      },
    });
    taken += count;
    if (!(loss < (best?.loss ?? Number.POSITIVE_INFINITY))) return;
    best = { loss, params, learningRate: from.learningRate, steps: from.steps + count };
  };
  const params = new Map(plain.added.map(({ name }) => [name, drawn.get(name)?.data ?? new Float32Array()]));
  for (const learningRate of tries > 0 ? rates : []) {
    await fitOn({ loss: Number.POSITIVE_INFINITY, params, learningRate, steps: 0 }, tries);
  }
  if (best && rest > 0) await fitOn(best, rest);
  const made = new Map<string, Weight>(
    [...drawn].map(([name, { shape, data }]) => [
      name,
      weights.get(name) ?? { shape, data: best?.params.get(name) ?? data },
    ]),
  );
  const [evaluations, all] = [(best?.steps ?? 0) * cost, taken * cost];
  const spent = { steps: taken, samples: taken * Math.min(batchSize, dataset.size), flops: 0 };
  const notes = best ? [] : ['plain-mlp left the plain layers as they were drawn, as no fit was finite'];
  return {
    weights: made,
    work: addWork(noWork, {
      ...{ steps: Math.ceil(all - rounding), evaluations, tried: all - evaluations, spent, notes },
    }),
  };
}

/** Plain feed-forward layers in the place of deep networks. */
export const plainMlpTransform: Transform<PlainMlpOptions> = {
  name: 'plain-mlp',
  description: 'fit plain feed-forward layers to the deep networks in their place',
  options: plainMlpOptions,
  isSeeded: true,
  works: true,
  label: { alone: 'plain layers', joined: 'plain' },
  doing: 'fitting plain feed-forward layers to deep ones',
  does: 'puts plain feed-forward layers in the place of deep networks, fitted to what these give, which is a part of the steps',
  rebuilds: (model) => withPlainLayers(model).model,
  steps: ({ share }, stepsOfTrial) => stepsOfShare(share, stepsOfTrial),
  applies: ({ model }) => (model.architecture.feedForward?.plain ? undefined : 'finds no deep feed-forward layers'),
  apply: async (context, options): Promise<ReadonlyMap<string, Weight>> => {
    const made = await plainFeedForward(context, context.bench(), options);
    context.charge(made.work);
    return made.weights;
  },
};
