import type { Evaluation, ParameterSet, RunState } from '../../training/index.js';
import { createObjective, Evaluator, optimizers, runSteps, schedules, WeightsKeeper } from '../../training/index.js';
import type { LockContext, LockMethod, LockResult } from '../lock-method.js';
import { type LockedMatrix, type SpecDefStep, specDefStep } from './algorithm.js';
import { weightMatrices } from './matrices.js';
import { type SpecDefOptions, specDefOptions } from './options.js';
import { tripletSource } from './spectrum.js';

/** SpecDef: raises the largest singular values of every weight matrix while a retain loss keeps the behaviour (Algorithm 1). */
export const specdef: LockMethod<SpecDefOptions> = {
  name: 'specdef',
  description: 'spectral deformation: raise the top-k singular values of every weight matrix (Algorithm 1)',
  options: specDefOptions,
  run: runSpecDef,
};

async function runSpecDef(context: LockContext, options: SpecDefOptions): Promise<LockResult> {
  const { model, params, train, validation, seed, engine, checkpoint, hooks, signal, onStep } = context;
  const evaluator = new Evaluator(model, engine);
  const referenceLogits = options.retain.kl > 0 ? await evaluator.logits(params, train) : undefined;
  const before = await evaluator.evaluate(params, validation);
  const retain = await createObjective({
    model,
    dataset: train,
    batchSize: options.batchSize,
    seed,
    loss: options.retain,
    referenceLogits,
    engine,
  });
  const matrices: LockedMatrix[] = weightMatrices(model.weights, options).map((matrix) => ({
    ...matrix,
    svd: tripletSource(matrix, options.topK, seed, options.exact),
  }));
  const guard = new UtilityGuard(
    params,
    matrices,
    before,
    options.utilityFloor ?? before.accuracy - options.maxDrop,
    options.patience,
  );

  let last: SpecDefStep | undefined;
  try {
    const { steps } = await runSteps({
      params,
      compute: async (current, step) => {
        last = await specDefStep(current, step, { ...options, retain, matrices });
        return last;
      },
      optimizer: optimizers.get(options.optimizer).create(),
      schedule: schedules.get(options.schedule).create(),
      learningRate: options.learningRate,
      steps: options.steps,
      checkpoint,
      ...hooks,
      signal,
      state: guard,
      afterStep: async ({ step, loss }) => {
        const due = step % options.evaluateEvery === 0 || step === options.steps;
        const utility = due ? await evaluator.evaluate(params, validation) : undefined;
        if (last)
          onStep?.({ step, loss, retainLoss: last.retainLoss, meanSigma: last.meanSigma, sigma: last.sigma, utility });
        return utility && guard.check(step, utility);
      },
    });
    guard.lastGood.goBack();
    const { step, evaluation: after } = guard.lastGood;
    return { steps: step, stepsTried: steps, stoppedByFloor: guard.endedBelow, before, after };
  } finally {
    await Promise.all([retain.release(), evaluator.release()]);
  }
}

/** Keeps the last weights whose utility was above the floor, and all else that a resumed lock needs. */
class UtilityGuard implements RunState {
  readonly lastGood: WeightsKeeper;
  /** Checks below the floor since the last one above it. */
  #below = 0;

  constructor(
    params: ParameterSet,
    readonly matrices: readonly LockedMatrix[],
    before: Evaluation,
    readonly floor: number,
    readonly patience: number,
  ) {
    this.lastGood = new WeightsKeeper(params, before);
  }

  /** Whether the weights after the kept ones were below the floor. */
  get endedBelow(): boolean {
    return this.#below > 0;
  }

  /** Notes the weights when the utility is above the floor, and ends the lock when it stays below. */
  check(step: number, utility: Evaluation): 'stop' | undefined {
    if (utility.accuracy >= this.floor && Number.isFinite(utility.loss)) {
      this.#below = 0;
      this.lastGood.keep(step, utility);
      return undefined;
    }
    // A push that costs utility is often made good by the retain loss some steps later.
    this.#below++;
    return this.#below >= this.patience || !Number.isFinite(utility.loss) ? 'stop' : undefined;
  }

  save() {
    const { extra, meta } = this.lastGood.save();
    const subspaces = this.matrices.map(({ name, svd }) => [`subspace/${name}`, svd.state()] as const);
    return { extra: { ...extra, ...Object.fromEntries(subspaces) }, meta: { ...meta, below: this.#below } };
  }

  restore(extra: Record<string, Float32Array | Float64Array>, meta: Record<string, unknown>): void {
    this.lastGood.restore(extra, meta);
    for (const { name, svd } of this.matrices) {
      const state = extra[`subspace/${name}`];
      if (state instanceof Float64Array) svd.restore(state);
    }
    this.#below = Number(meta.below);
  }
}
