import { ProgramCache } from '../../engine/index.js';
import { type ModelSpec, parameterSet, weightMatrices } from '../../models/index.js';
import {
  chosenOptimizer,
  courseSchedule,
  courseSteps,
  createObjective,
  createOptimizer,
  type Objective,
  type ParameterSet,
  type RunState,
  runSteps,
} from '../../training/index.js';
import { utilityFloor } from '../budget.js';
import type { LockContext, LockReportValue, LockResult, UtilityMeter } from '../lock-method.js';
import { retainReference } from '../retain.js';
import type { UtilityGuard } from '../utility-guard.js';
import { type LockedMatrix, type SpecDefStep, specDefStep } from './algorithm.js';
import { raisedMatrices } from './matrices.js';
import type { SpecDefOptions } from './options.js';
import { tripletSource } from './spectrum.js';

/** What a variant does beside Algorithm 1. */
export interface SpecDefExtras {
  /** The model that the retain loss is of, where it is trained otherwise than as it is. */
  readonly model: ModelSpec;
  /** Whether gradients of all values of tables are needed. */
  readonly isWhole: boolean;
  /** Done to the weights, in place, before the first step. */
  begin(): void;
  /** Adds to the loss and the gradients of a step; gives what the step is then. */
  step(
    params: ParameterSet,
    step: number,
    found: SpecDefStep,
    parts: { retain: Objective; matrices: readonly LockedMatrix[] },
  ): Promise<SpecDefStep>;
  /** Done after a check of the utility, in place; gives what is measured. */
  checked(
    params: ParameterSet,
    parts: { matrices: readonly LockedMatrix[]; isWithin: boolean },
  ): Promise<Readonly<Record<string, LockReportValue>>>;
  /** What it keeps in checkpoints. */
  readonly meta: { save(): Record<string, unknown>; restore(meta: Record<string, unknown>): void };
}

/** How Algorithm 1 ended: what it cost is always measured. */
export type SpecDefResult = Omit<LockResult, 'story' | 'rebuilt'> &
  Required<Pick<LockResult, 'budget' | 'before' | 'after'>>;

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
  const { lead, topK, exact } = options;
  const { all, leading } = raisedMatrices(weights, options);
  const leadSteps = Math.round(lead.share * steps);
  const locked = (matrices: typeof all, k: number) =>
    matrices.map((matrix) => ({ ...matrix, svd: tripletSource(matrix, k, seed, { exact, programs }) }));
  if (leadSteps === 0) return [{ steps, offset: 0, matrices: locked(all, topK) }];
  const first: Stage = { name: 'lead', steps: leadSteps, offset: 0, matrices: locked(leading, lead.topK) };
  // All of the steps may be the leading stage's.
  if (leadSteps === steps) return [first];
  return [first, { steps: steps - leadSteps, offset: leadSteps, matrices: locked(all, topK) }];
}

/**
 * Runs Algorithm 1 until its steps or its budget end; the weights are those of the last check within the budget.
 *
 * @param extras - What a variant does beside it; default nothing.
 */
export async function runSpecDef(
  context: LockContext,
  options: SpecDefOptions,
  extras?: SpecDefExtras,
): Promise<SpecDefResult> {
  const { seed, engine } = context;
  const { model = context.model, isWhole = false } = extras ?? {};
  const train = await context.train();
  const reference = await retainReference(context, options.retain);
  const meter = await context.utility();
  const { before, begin, task } = meter;
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
  const byRows = isWhole ? undefined : idleFactor && ((name: string) => !locked.has(name));
  const retain = await createObjective({
    ...{ model, task, dataset: train, batchSize, accumulate, recompute },
    ...{ seed, loss, reference, engine, byRows },
  });
  // One thread each: a pool for every shape of matrix would spin and take the step's time (ResNet-18, two threads: 115 ms a step instead of 324).
  const programs = new ProgramCache({ ...engine, threads: 1 });
  try {
    let result: SpecDefResult = { steps: 0, stepsTried: 0, stoppedByBudget: false, budget, before, after: begin };
    const steps = courseSteps(options, train.size, batchSize);
    for (const stage of stages(context, options, { steps, programs })) {
      const guard = context.guard(budget, result.after);
      if (stage.offset === 0) extras?.begin();
      const done = await runStage(stage, context, options, { retain, meter, guard, programs, extras });
      guard.lastGood.goBack();
      const { step, evaluation: after } = guard.lastGood;
      const kept = result.steps + step;
      // Of stages that all changed nothing the first: its weights were those before the lock.
      const nearest = kept === 0 ? (result.nearest ?? guard.nearest) : undefined;
      result = {
        steps: kept,
        stepsTried: result.stepsTried + done.steps,
        stoppedByBudget: guard.endedOutside,
        budget,
        before,
        after,
        ...(nearest && { nearest }),
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
function stateOf(guard: UtilityGuard, matrices: readonly LockedMatrix[], extras?: SpecDefExtras): RunState {
  return {
    save: () => {
      const { extra, meta: own } = guard.save();
      const meta = { ...own, ...(extras && { extras: extras.meta.save() }) };
      const subspaces = matrices.map(({ name, svd }) => [`subspace/${name}`, svd.state()] as const);
      return { extra: { ...extra, ...Object.fromEntries(subspaces) }, meta };
    },
    restore: (extra, meta) => {
      guard.restore(extra, meta);
      extras?.meta.restore(meta.extras as Record<string, unknown>);
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
    extras,
  }: {
    retain: Objective;
    meter: UtilityMeter;
    guard: UtilityGuard;
    programs: ProgramCache;
    extras?: SpecDefExtras;
  },
) {
  const { alpha, targetSigma } = options;
  let last: SpecDefStep | undefined;
  return runSteps({
    params: parameterSet(weights),
    compute: async (current, step) => {
      const found = await specDefStep(current, step, { retain, matrices, alpha, targetSigma, programs });
      last = extras ? await extras.step(current, offset + step, found, { retain, matrices }) : found;
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
    state: stateOf(guard, matrices, extras),
    // With good weights to go back to, a lock that diverges ends there; without, it has done nothing.
    onDiverged: () => {
      if (!guard.hasGood) return undefined;
      guard.diverged();
      return 'stop';
    },
    afterStep: async ({ step, loss, params, settled }) => {
      const due = step % options.evaluateEvery === 0 || step === steps;
      if (due) await settled();
      const utility = due ? await meter.measure() : undefined;
      const verdict = utility && guard.check(step, utility);
      const more = utility && (await extras?.checked(params, { matrices, isWithin: !guard.endedOutside }));
      if (last) {
        const { retainLoss, meanSigma, tokens } = last;
        const sigma = Object.fromEntries([...last.sigma].map(([name, [largest]]) => [name, largest]));
        onStep?.({
          ...{ step: offset + step, loss, retainLoss, meanSigma, sigma },
          ...(tokens !== undefined && { tokens }),
          ...last.terms,
          ...more,
          ...(utility && { utility }),
        });
      }
      return verdict;
    },
  });
}
