import { ProgramCache } from '../../engine/index.js';
import { matchesAny } from '../../registry/index.js';
import type { Evaluation } from '../../tasks/index.js';
import {
  courseSchedule,
  courseSteps,
  createObjective,
  Evaluator,
  type Objective,
  optimizers,
  runSteps,
} from '../../training/index.js';
import type { LockContext, LockMethod, LockResult } from '../lock-method.js';
import { type LockedMatrix, type SpecDefStep, specDefStep } from './algorithm.js';
import { weightMatrices } from './matrices.js';
import { type SpecDefOptions, specDefOptions } from './options.js';
import { tripletSource } from './spectrum.js';
import { UtilityGuard } from './utility-guard.js';

/** SpecDef: raises the largest singular values of every weight matrix while a retain loss keeps the behaviour (Algorithm 1). */
export const specdef: LockMethod<SpecDefOptions> = {
  name: 'specdef',
  description: 'spectral deformation: raise the top-k singular values of every weight matrix (Algorithm 1)',
  options: specDefOptions,
  steps: (options, train) => courseSteps(options, train.size, options.batchSize),
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
function stages({ model, seed, train }: LockContext, options: SpecDefOptions, programs: ProgramCache): Stage[] {
  const { lead, topK, include, exclude, exact, batchSize } = options;
  const all = weightMatrices(model.weights, { include, exclude });
  const leads = matchesAny(lead.include);
  const steps = courseSteps(options, train.size, batchSize);
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

async function runSpecDef(context: LockContext, options: SpecDefOptions): Promise<LockResult> {
  const { model, params, train, validation, seed, engine, written = (values) => values } = context;
  const evaluator = new Evaluator(model, engine);
  const { task } = evaluator;
  const reference = options.retain.kl > 0 ? await evaluator.outputs(params, train) : undefined;
  const original = await evaluator.outputs(params, validation);
  const utility = () => evaluator.evaluate(written(params), validation, { original });
  const before = await utility();
  const budget = {
    floor: options.utilityFloor ?? (before.metrics[task.roles.score] ?? 0) - options.maxDrop,
    maxKl: options.maxKl,
    patience: options.patience,
  };
  const { batchSize } = options;
  const loss = { task: options.retain.task, divergence: options.retain.kl };
  const retain = await createObjective({ model, task, dataset: train, batchSize, seed, loss, reference, engine });
  // One thread each: a pool for every shape of matrix would spin and take the step's time (ResNet-18, two threads: 115 ms a step instead of 324).
  const programs = new ProgramCache({ ...engine, threads: 1 });
  try {
    let result: LockResult = { steps: 0, stepsTried: 0, stoppedByBudget: false, budget, before, after: before };
    for (const stage of stages(context, options, programs)) {
      const guard = new UtilityGuard(params, stage.matrices, result.after, budget, task.roles);
      const { steps } = await runStage(stage, context, options, { retain, utility, guard, programs });
      guard.lastGood.goBack();
      const { step, evaluation: after } = guard.lastGood;
      result = {
        steps: result.steps + step,
        stepsTried: result.stepsTried + steps,
        stoppedByBudget: guard.endedOutside,
        budget,
        before,
        after,
      };
    }
    return result;
  } finally {
    await Promise.all([retain.release(), evaluator.release(), programs.release()]);
  }
}

function runStage(
  { name, steps, offset, matrices }: Stage,
  { params, checkpoint, hooks, signal, onStep }: LockContext,
  options: SpecDefOptions,
  {
    retain,
    utility: measure,
    guard,
    programs,
  }: { retain: Objective; utility: () => Promise<Evaluation>; guard: UtilityGuard; programs: ProgramCache },
) {
  const { alpha, targetSigma } = options;
  let last: SpecDefStep | undefined;
  return runSteps({
    params,
    compute: async (current, step) => {
      last = await specDefStep(current, step, { retain, matrices, alpha, targetSigma, programs });
      return last;
    },
    optimizer: optimizers.get(options.optimizer).create(),
    schedule: courseSchedule(options, retain.stepsPerEpoch),
    learningRate: options.learningRate,
    steps,
    checkpoint: checkpoint && { ...checkpoint, path: name ? `${checkpoint.path}-${name}` : checkpoint.path },
    onStart: hooks?.onStart && ((step) => hooks.onStart?.(offset + step) ?? Promise.resolve()),
    beforeCheckpoint: hooks?.beforeCheckpoint,
    signal,
    state: guard,
    // With good weights to go back to, a lock that diverges ends there; without, it has done nothing.
    onDiverged: () => {
      if (!guard.hasGood) return undefined;
      guard.diverged();
      return 'stop';
    },
    afterStep: async ({ step, loss }) => {
      const due = step % options.evaluateEvery === 0 || step === steps;
      const utility = due ? await measure() : undefined;
      if (last) {
        const { retainLoss, meanSigma, sigma } = last;
        onStep?.({ step: offset + step, loss, retainLoss, meanSigma, sigma, utility });
      }
      return utility && guard.check(step, utility);
    },
  });
}
