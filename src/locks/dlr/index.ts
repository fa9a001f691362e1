import { ProgramCache } from '../../engine/index.js';
import {
  cloneWeights,
  initializeWeights,
  type ModelSpec,
  modelState,
  parameterSet,
  type RebuiltModel,
  type StateDict,
  sizeOf,
  withDeepLayers,
} from '../../models/index.js';
import type { DeepLowRankShape } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import {
  chosenOptimizer,
  courseSchedule,
  courseSteps,
  createOptimizer,
  PartFits,
  runSteps,
} from '../../training/index.js';
import { utilityFloor } from '../budget.js';
import type { LockContext, LockMethod, LockResult, LockStory } from '../lock-method.js';
import { TermBatches } from '../term-batches.js';
import { UtilityGuard } from '../utility-guard.js';
import { type DlrOptions, dlrOptions } from './options.js';

/**
 * Puts a deep residual network of low-rank layers, of as many parameters, in the place of each feed-forward layer, and fits it to what
 * that layer reads and gives on the authorized examples: who trains it has to hold what each of its layers gives (DLR-Lock).
 *
 * @see Sakamoto et al., "Locking Pretrained Weights via Deep Low-Rank Residual Distillation", 2026, arXiv 2605.10777.
 */
export const dlr: LockMethod<DlrOptions> = {
  name: 'dlr',
  description: 'put deep networks of low rank in the place of feed-forward layers, so that training needs more memory',
  class: 'symmetry',
  undoneBy: 'fitting plain feed-forward layers to what the deep ones read and give, on any text',
  options: dlrOptions,
  needsData: true,
  rebuilds: true,
  steps: (options, trainExamples) => courseSteps(options, trainExamples, options.batchSize),
  training: (options) => ({ batchSize: options.batchSize, optimizer: chosenOptimizer(options) }),
  locks: (_, options, model) => rebuiltOf(model, options).replaced.map(({ name }) => name),
  glance: ({ loss }) => (loss === undefined ? '' : `error ${(100 * Number(loss)).toFixed(2)} %`),
  run: rebuild,
};

async function rebuild(context: LockContext, options: DlrOptions): Promise<LockResult> {
  const { model, seed, engine, checkpoint, hooks, signal, onStep } = context;
  const deep = rebuiltOf(model, options);
  const dataset = await context.train();
  const batches = new TermBatches(model, dataset, { batchSize: options.batchSize, seed });
  const steps = courseSteps(options, dataset.size, options.batchSize);
  const weights = begun(context.weights, deep, seed);
  const all = parameterSet(weights);
  const params = new Map(deep.added.map(({ name }) => [name, all.get(name) ?? new Float32Array()]));
  const meter = await context.utility();
  const { before, begin, task } = meter;
  const measure = await meter.other(deep.model);
  const budget = {
    floor: utilityFloor(options, meter),
    maxKl: options.maxKl,
    // It begins outside: more checks than there are.
    patience: Math.ceil(steps / options.evaluateEvery) + 1,
  };
  const guard = new UtilityGuard(params, begin, budget, task.roles, engine?.tally);
  const programs = new ProgramCache(engine);
  const fits = new PartFits(model, parameterSet(context.weights), deep, programs);
  const shapes = new Map(deep.added.map(({ name, shape }) => [name, shape]));
  try {
    const done = await runSteps({
      params,
      shapes,
      compute: (own, step) => fits.compute(own, batches.at(step)),
      optimizer: createOptimizer(chosenOptimizer(options), shapes),
      schedule: courseSchedule(options, batches.stepsPerEpoch),
      learningRate: options.learningRate,
      steps,
      checkpoint,
      ...hooks,
      signal,
      state: guard,
      onDiverged: () => {
        if (!guard.hasGood) return undefined;
        guard.diverged();
        return 'stop';
      },
      afterStep: async ({ step, loss }) => {
        const due = step % options.evaluateEvery === 0 || step === steps;
        const utility = due ? await measure(all) : undefined;
        onStep?.({ step, loss, ...(utility && { utility }) });
        return utility && guard.check(step, utility);
      },
    });
    const { lastGood, hasGood } = guard;
    lastGood.goBack();
    const { losses } = await fits.compute(params, batches.at(0));
    return {
      steps: lastGood.step,
      stepsTried: done.steps,
      stoppedByBudget: guard.endedOutside,
      budget,
      before,
      after: lastGood.evaluation,
      ...(guard.nearest && { nearest: guard.nearest }),
      story: storyOf(deep, losses),
      ...(hasGood && { rebuilt: { model: deep.model, weights } }),
    };
  } finally {
    await programs.release();
  }
}

/** The model with deep networks. */
function rebuiltOf(model: ModelSpec, options: DlrOptions): RebuiltModel {
  try {
    return withDeepLayers(model, options);
  } catch (error) {
    throw error instanceof InputError ? new InputError(`dlr: ${error.message}`) : error;
  }
}

/** Weights of the deep form: those that stay as they are, and networks that give nothing yet. */
function begun(weights: StateDict, { model }: RebuiltModel, seed: number): StateDict {
  const fresh = initializeWeights(modelState(model), seed);
  return cloneWeights(new Map([...fresh].map(([name, own]) => [name, weights.get(name) ?? own])));
}

/** What became of the model. */
function storyOf(deep: RebuiltModel, losses: readonly number[]): LockStory {
  const { depth, rank } = (deep.model.config as { feed_forward: DeepLowRankShape }).feed_forward;
  const [width, inner] = [1, 0].map((axis) => deep.replaced[0].shape[axis]);
  return {
    ...{ depth, rank, networks: deep.parts.length },
    parameters: { before: sizeOf(deep.replaced), after: sizeOf(deep.added) },
    // For a token: what each linear layer reads, and what goes through activations.
    heldByToken: { before: width + 2 * inner, after: depth * (width + 2 * rank) },
    errors: Object.fromEntries(deep.parts.map((name, index) => [name, losses[index]])),
  };
}
