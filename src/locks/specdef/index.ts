import { ProgramCache } from '../../engine/index.js';
import { parameterSet, weightMatrices } from '../../models/index.js';
import { matchesAny } from '../../registry/index.js';
import {
  chosenOptimizer,
  courseSchedule,
  courseSteps,
  createObjective,
  createOptimizer,
  type Objective,
  type RunState,
  runSteps,
} from '../../training/index.js';
import { utilityFloor } from '../budget.js';
import type { LockContext, LockMethod, LockResult, UtilityMeter } from '../lock-method.js';
import { retainReference } from '../retain.js';
import type { UtilityGuard } from '../utility-guard.js';
import { type LockedMatrix, type SpecDefStep, specDefStep } from './algorithm.js';
import { type SpecDefOptions, specDefOptions } from './options.js';
import { tripletSource } from './spectrum.js';

/** What SpecDef is beside other lock methods: it says all that a method may, and has always measured what it cost. */
export interface SpecDef extends Required<LockMethod<SpecDefOptions>> {
  /** Locks: changes `context.weights` in place. */
  run(context: LockContext, options: SpecDefOptions): Promise<Required<Omit<LockResult, 'story'>>>;
}

/** SpecDef: raises the largest singular values of every weight matrix while a retain loss keeps the behaviour (Algorithm 1). */
export const specdef: SpecDef = {
  name: 'specdef',
  description: 'spectral deformation: raise the top-k singular values of every weight matrix (Algorithm 1)',
  class: 'off-manifold',
  undoneBy:
    'clipping the raised singular values; in a ReLU network without normalization also rescaling the layers, at no cost',
  options: specDefOptions,
  needsData: true,
  steps: (options, trainExamples) => courseSteps(options, trainExamples, options.batchSize),
  training: (options) => ({
    batchSize: options.batchSize,
    accumulate: options.accumulate,
    recompute: options.recompute,
    optimizer: chosenOptimizer(options),
  }),
  locks: (weights, options) => weightMatrices(weights, options).map(({ name }) => name),
  reveals: ({ topK, lead }) => ({
    raised: { topK, lead: { topK: lead.topK, include: lead.share > 0 ? lead.include : [] } },
  }),
  // The retain training alone, with the same batches, steps and budget.
  sham: (options) => ({ ...options, alpha: 1 }),
  glance: ({ meanSigma }) => `mean σ ${Number(meanSigma).toFixed(1)}`,
  run: runSpecDef,
};

/** Algorithm 1 run for some steps on some of the matrices. */
interface Stage {
  /** Part of its checkpoint's name; none for the last. */
  readonly name?: string;
  readonly steps: number;
  /** Steps of the stages before it. */
  readonly offset: number;
  readonly matrices: readonly LockedMatrix[];
}

/** The leading stage, on the matrices that it names and the model has, and the one on all matrices. */
function stages(
  { weights, seed }: LockContext,
  options: SpecDefOptions,
  { steps, programs }: { steps: number; programs: ProgramCache },
): Stage[] {
  const { lead, topK, include, exclude, exact } = options;
  const all = weightMatrices(weights, { include, exclude });
  const leads = matchesAny(lead.include);
  const leadSteps = Math.round(lead.share * steps);
  const leading = leadSteps > 0 ? all.filter(({ name }) => leads(name)) : [];
  const locked = (matrices: typeof all, k: number) =>
    matrices.map((matrix) => ({ ...matrix, svd: tripletSource(matrix, k, seed, { exact, programs }) }));
  if (leading.length === 0) return [{ steps, offset: 0, matrices: locked(all, topK) }];
  const first: Stage = { name: 'lead', steps: leadSteps, offset: 0, matrices: locked(leading, lead.topK) };
  // All of the steps may be the leading stage's.
  if (leadSteps === steps) return [first];
  return [first, { steps: steps - leadSteps, offset: leadSteps, matrices: locked(all, topK) }];
}

async function runSpecDef(context: LockContext, options: SpecDefOptions): Promise<Required<Omit<LockResult, 'story'>>> {
  const { model, seed, engine } = context;
  const train = await context.train();
  const reference = await retainReference(context, options.retain);
  const meter = await context.utility();
  const { before, task } = meter;
  const budget = {
    floor: utilityFloor(options, meter),
    maxKl: options.maxKl,
    patience: options.patience,
  };
  const { batchSize, accumulate, recompute } = options;
  const loss = { task: options.retain.task, divergence: options.retain.kl };
  // What is locked is pushed as a whole.
  const locked = new Set(weightMatrices(context.weights, options).map(({ name }) => name));
  const { idleFactor } = createOptimizer(chosenOptimizer(options), shapesOf(context.weights));
  const byRows = idleFactor && ((name: string) => !locked.has(name));
  const retain = await createObjective({
    ...{ model, task, dataset: train, batchSize, accumulate, recompute },
    ...{ seed, loss, reference, engine, byRows },
  });
  // One thread each: a pool for every shape of matrix would spin and take the step's time (ResNet-18, two threads: 115 ms a step instead of 324).
  const programs = new ProgramCache({ ...engine, threads: 1 });
  try {
    let result = { steps: 0, stepsTried: 0, stoppedByBudget: false, budget, before, after: before };
    const steps = courseSteps(options, train.size, batchSize);
    for (const stage of stages(context, options, { steps, programs })) {
      const guard = context.guard(budget, result.after);
      const done = await runStage(stage, context, options, { retain, meter, guard, programs });
      guard.lastGood.goBack();
      const { step, evaluation: after } = guard.lastGood;
      result = {
        steps: result.steps + step,
        stepsTried: result.stepsTried + done.steps,
        stoppedByBudget: guard.endedOutside,
        budget,
        before,
        after,
      };
    }
    return result;
  } finally {
    await Promise.all([retain.release(), programs.release()]);
  }
}

function shapesOf(weights: LockContext['weights']) {
  return new Map([...weights].map(([name, { shape }]) => [name, shape]));
}

/** What a checkpoint of a stage holds beside weights and optimizer: the kept weights, and the subspaces. */
function stateOf(guard: UtilityGuard, matrices: readonly LockedMatrix[]): RunState {
  return {
    save: () => {
      const { extra, meta } = guard.save();
      const subspaces = matrices.map(({ name, svd }) => [`subspace/${name}`, svd.state()] as const);
      return { extra: { ...extra, ...Object.fromEntries(subspaces) }, meta };
    },
    restore: (extra, meta) => {
      guard.restore(extra, meta);
      for (const { name, svd } of matrices) {
        const state = extra[`subspace/${name}`];
        if (state instanceof Float64Array) svd.restore(state);
      }
    },
  };
}

function runStage(
  { name, steps, offset, matrices }: Stage,
  { weights, checkpoint, hooks, signal, onStep }: LockContext,
  options: SpecDefOptions,
  {
    retain,
    meter,
    guard,
    programs,
  }: { retain: Objective; meter: UtilityMeter; guard: UtilityGuard; programs: ProgramCache },
) {
  const { alpha, targetSigma } = options;
  let last: SpecDefStep | undefined;
  return runSteps({
    params: parameterSet(weights),
    compute: async (current, step) => {
      last = await specDefStep(current, step, { retain, matrices, alpha, targetSigma, programs });
      return last;
    },
    shapes: retain.shapes,
    rows: retain.rows,
    optimizer: createOptimizer(chosenOptimizer(options), retain.shapes),
    schedule: courseSchedule(options, retain.stepsPerEpoch),
    learningRate: options.learningRate,
    steps,
    checkpoint: checkpoint && { ...checkpoint, path: name ? `${checkpoint.path}-${name}` : checkpoint.path },
    onStart: hooks?.onStart && ((step) => hooks.onStart?.(offset + step) ?? Promise.resolve()),
    beforeCheckpoint: hooks?.beforeCheckpoint,
    signal,
    state: stateOf(guard, matrices),
    // With good weights to go back to, a lock that diverges ends there; without, it has done nothing.
    onDiverged: () => {
      if (!guard.hasGood) return undefined;
      guard.diverged();
      return 'stop';
    },
    afterStep: async ({ step, loss, settled }) => {
      const due = step % options.evaluateEvery === 0 || step === steps;
      if (due) await settled();
      const utility = due ? await meter.measure() : undefined;
      if (last) {
        const { retainLoss, meanSigma, tokens } = last;
        const sigma = Object.fromEntries([...last.sigma].map(([name, [largest]]) => [name, largest]));
        onStep?.({
          ...{ step: offset + step, loss, retainLoss, meanSigma, sigma },
          ...(tokens !== undefined && { tokens }),
          ...(utility && { utility }),
        });
      }
      return utility && guard.check(step, utility);
    },
  });
}
