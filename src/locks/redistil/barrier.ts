import type { Dataset } from '../../data/index.js';
import { createObjective, type Objective, type ParameterSet } from '../../training/index.js';
import { type BoundedPush, boundedPush } from '../bounded-push.js';
import type { LockContext } from '../lock-method.js';
import { retainReference } from '../retain.js';
import { addGradients } from '../term-gradients.js';
import type { RedistilOptions } from './options.js';

/**
 * A barrier on the line between weights θ and those θ₀ that they had when this was made: the retain loss at `½(θ + θ₀)` is pushed up, so
 * that averaging with the original, or with a relative of it, gives nothing of use.
 */
export class MidpointBarrier {
  readonly #original: ParameterSet;
  readonly #midpoint: ParameterSet;

  private constructor(
    original: ParameterSet,
    readonly retain: Objective,
    readonly push: BoundedPush,
  ) {
    this.#original = copyOf(original);
    this.#midpoint = copyOf(original);
  }

  /**
   * Compiles the retain loss a second time: gradients belong to the objective that gave them.
   *
   * @param options - `examples`: those that the distillation sees, so that a step's batches are the same.
   */
  static async open(
    { model, seed, engine, ...context }: Pick<LockContext, 'model' | 'seed' | 'engine' | 'original'>,
    params: ParameterSet,
    { barrier, batchSize, accumulate, recompute, retain, examples: dataset }: RedistilOptions & { examples: Dataset },
  ): Promise<MidpointBarrier> {
    const reference = await retainReference(context, retain, dataset);
    const objective = await createObjective({
      ...{ model, dataset, batchSize, accumulate, recompute, seed, engine, reference },
      loss: { task: retain.task, divergence: retain.kl },
    });
    return new MidpointBarrier(params, objective, barrier);
  }

  /**
   * Adds to the gradients those of `weight · ½B·(1 − ℓ/B)₊²`, ℓ the retain loss half way on the batch of the step, in place: by θ half
   * of what they are by the weights half way. What training tracks without a gradient is half way, too, and not moved.
   *
   * @returns ℓ before the step.
   */
  async add(params: ParameterSet, gradients: ParameterSet, step: number): Promise<{ midpointLoss: number }> {
    for (const [name, middle] of this.#midpoint) {
      const [now, before] = [params.get(name) ?? middle, this.#original.get(name) ?? middle];
      for (let i = 0; i < middle.length; i++) middle[i] = (now[i] + before[i]) / 2;
    }
    const { loss, gradients: found } = await this.retain.compute(this.#midpoint, step);
    const { slope } = boundedPush(loss, this.push);
    if (slope !== 0) addGradients(gradients, found, slope / 2);
    return { midpointLoss: loss };
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.retain.release();
  }
}

function copyOf(params: ParameterSet): ParameterSet {
  return new Map([...params].map(([name, values]) => [name, values.slice()]));
}
