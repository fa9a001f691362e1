import type { Dataset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { type ModelSpec, smallestBatch } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { createObjective, type Objective, optimizers, type ParameterSet } from '../../training/index.js';
import type { LockContext } from '../lock-method.js';
import { proxyParts, requiredProxies } from '../term-batches.js';
import { attackStarts, type TrapOptions } from './options.js';
import { startOf } from './starts.js';

/** What a step's attacks came to. */
export type Attacked = {
  /** Mean loss of the attacked models on the tasks that they were trained for. */
  readonly attackedLoss: number;
  /** `weight · ½B·(1 − loss/B)₊²`, the mean of the attacks. */
  readonly trapTerm: number;
};

/** A task of an attacker, and the loss from which on a model is bad at it. */
interface BoundedTask {
  /** What attacks are trained on. */
  readonly attacked: Objective;
  /** Other examples of it, which they are judged on. */
  readonly judged: Objective;
  readonly bound: number;
}

/**
 * The loss of guessing: beyond it a model would have to be wrong and sure of it, which an attacker turns round.
 *
 * @throws InputError for a task whose outputs are no probabilities.
 */
export function guessingLoss(model: ModelSpec, dataset: Dataset): number {
  const task = taskOf(model);
  const count = task.answers?.(dataset)?.count;
  if (count !== undefined) return Math.log(count);
  if (task.roles.divergence !== 'kl') {
    throw new InputError(`trap.bound: expected one, as outputs of ${task.name} are no probabilities; got none`);
  }
  // Of each token, out of all that the head tells apart.
  const { shape } = model.build(smallestBatch(model)).outputs[task.output];
  return Math.log(shape[shape.length - 1]);
}

/**
 * Attacks that a lock is trained against. Everything that is drawn for a step depends on the seed and the step alone, so that a run that
 * was interrupted ends with the same bits.
 */
export class Attacks {
  readonly #context: LockContext;
  readonly #options: TrapOptions;
  readonly #tasks: readonly BoundedTask[];
  readonly #programs: ProgramCache;

  private constructor(
    context: LockContext,
    options: TrapOptions,
    found: { tasks: readonly BoundedTask[]; programs: ProgramCache },
  ) {
    this.#context = context;
    this.#options = options;
    this.#tasks = found.tasks;
    this.#programs = found.programs;
  }

  /**
   * Compiles what attacks compute.
   *
   * @throws InputError without examples of tasks that an attacker may be after, with ones that do not fit the model, or without a bound
   *   where nothing says what it is.
   */
  static async open(context: LockContext, options: TrapOptions): Promise<Attacks> {
    const datasets = await requiredProxies(context, 'trap');
    const { model, seed, engine } = context;
    const programs = new ProgramCache(engine);
    const { batchSize, heldOut } = options.attacks;
    const shared = { model, batchSize, seed, programs };
    try {
      const tasks: BoundedTask[] = [];
      for (const dataset of datasets) {
        const bound = options.bound ?? guessingLoss(model, dataset);
        const { attacked, judged } = proxyParts(dataset, { heldOut, seed, name: 'trap' });
        tasks.push({
          attacked: await createObjective({ ...shared, dataset: attacked }),
          judged: await createObjective({ ...shared, dataset: judged }),
          bound,
        });
      }
      return new Attacks(context, options, { tasks, programs });
    } catch (error) {
      await programs.release();
      throw error;
    }
  }

  /**
   * Attacks copies of the weights, and adds to a gradient what keeps the attacked ones from being good: with ℓ the loss of an attacked
   * model on examples that it was not trained on, the gradient of `½B·(1 − ℓ/B)₊²` there, taken as if it were at the released weights.
   */
  async pull(params: ParameterSet, gradients: ParameterSet, step: number): Promise<Attacked> {
    const { weight, attacks } = this.#options;
    let [sum, terms] = [0, 0];
    for (let index = 0; index < attacks.each; index++) {
      const { loss, bound, found, pullBack } = await this.#attack(params, step * attacks.each + index);
      const rest = Number.isFinite(loss) ? Math.max(1 - loss / bound, 0) : 0;
      // One that diverged has learnt nothing.
      sum += Number.isFinite(loss) ? Math.min(loss, bound) : bound;
      terms += (weight * bound * rest * rest) / 2;
      if (rest === 0) continue;
      for (const [name, gradient] of found) {
        const total = gradients.get(name);
        if (!total || gradient.some((value) => !Number.isFinite(value))) continue;
        const back = gradient.slice();
        pullBack(name, back);
        const factor = (-weight * rest) / attacks.each;
        for (let i = 0; i < total.length; i++) total[i] += factor * back[i];
      }
    }
    return { attackedLoss: sum / attacks.each, trapTerm: terms / attacks.each };
  }

  /** Frees what was made for it. */
  async release(): Promise<void> {
    await this.#programs.release();
  }

  async #attack(params: ParameterSet, draw: number) {
    const { model, weights, seed } = this.#context;
    const { attacks } = this.#options;
    const stream = new RandomStream(seed, 'trap attack', draw);
    const { attacked, judged, bound } = this.#tasks[stream.integer(this.#tasks.length)];
    const entry = optimizers.get(attacks.optimizers[stream.integer(attacks.optimizers.length)]);
    const { decades } = entry.search;
    const [low, high] = [Math.min(...decades), Math.max(...decades)];
    const rate = 10 ** (low + (high - low) * stream.uniform());
    const steps = 1 + stream.integer(attacks.steps);
    const starts = attackStarts.filter((name) => attacks.starts.includes(name));
    const kind = starts[stream.integer(starts.length)];
    const started = startOf(kind, params, { model, shapes: weights, options: attacks, stream });
    const optimizer = entry.create(entry.search.options);
    const state = optimizer.init(started.params, attacked.shapes);
    // Batches that no other attack of the run begins with.
    const first = draw * attacks.steps;
    for (let at = 0; at < steps; at++) {
      optimizer.prepare?.(state, started.params);
      const { loss, gradients } = await attacked.compute(started.params, first + at);
      if (!Number.isFinite(loss)) break;
      await optimizer.update(gradients, state, started.params, rate);
    }
    const { loss, gradients } = await judged.compute(started.params, draw);
    return { loss, bound, found: gradients, pullBack: started.pullBack };
  }
}
