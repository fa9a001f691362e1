import type { Evaluation, ParameterSet, RunState } from '../../training/index.js';
import { createObjective, Evaluator, optimizers, runSteps, schedules } from '../../training/index.js';
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
  const { model, params, train, validation, seed, engine, checkpoint, signal, onStep } = context;
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
    const { steps, resumedFrom } = await runSteps({
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
    const stoppedByFloor = guard.restoreGood();
    return { steps: guard.goodStep, stepsTried: steps, resumedFrom, stoppedByFloor, before, after: guard.goodUtility };
  } finally {
    await Promise.all([retain.release(), evaluator.release()]);
  }
}

/** Keeps the last weights whose utility was above the floor, and all that a resumed lock needs. */
class UtilityGuard implements RunState {
  goodStep = 0;
  goodUtility: Evaluation;
  /** Checks below the floor since the last one above it. */
  #below = 0;
  readonly #good: Map<string, Float32Array>;

  constructor(
    readonly params: ParameterSet,
    readonly matrices: readonly LockedMatrix[],
    before: Evaluation,
    readonly floor: number,
    readonly patience: number,
  ) {
    this.goodUtility = before;
    this.#good = new Map([...params].map(([name, values]) => [name, values.slice()]));
  }

  /** Notes the weights when the utility is above the floor, and ends the lock when it stays below. */
  check(step: number, utility: Evaluation): 'stop' | undefined {
    if (!(utility.accuracy >= this.floor) || !Number.isFinite(utility.loss)) {
      // A push that costs utility is often made good by the retain loss some steps later.
      this.#below++;
      return this.#below >= this.patience || !Number.isFinite(utility.loss) ? 'stop' : undefined;
    }
    this.#below = 0;
    this.goodStep = step;
    this.goodUtility = utility;
    for (const [name, values] of this.params) this.#good.get(name)?.set(values);
    return undefined;
  }

  /** Goes back to the last good weights; says whether later ones were below the floor. */
  restoreGood(): boolean {
    for (const [name, values] of this.params) values.set(this.#good.get(name) ?? values);
    return this.#below > 0;
  }

  save() {
    const extra: Record<string, Float32Array | Float64Array> = {};
    for (const [name, values] of this.#good) extra[`good/${name}`] = values;
    for (const { name, svd } of this.matrices) extra[`subspace/${name}`] = svd.state();
    return { extra, meta: { goodStep: this.goodStep, goodUtility: { ...this.goodUtility }, below: this.#below } };
  }

  restore(extra: Record<string, Float32Array | Float64Array>, meta: Record<string, unknown>): void {
    for (const [name, values] of this.#good) values.set(extra[`good/${name}`] ?? []);
    for (const { name, svd } of this.matrices) {
      const state = extra[`subspace/${name}`];
      if (state instanceof Float64Array) svd.restore(state);
    }
    this.goodStep = Number(meta.goodStep);
    this.goodUtility = meta.goodUtility as Evaluation;
    this.#below = Number(meta.below);
  }
}
