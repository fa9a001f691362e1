import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { taskOf } from '../../tasks/index.js';
import { createObjective, type Objective, optimizers, type ParameterSet } from '../../training/index.js';
import type { LockContext } from '../lock-method.js';
import { proxyParts, requiredProxies } from '../term-batches.js';
import { addGradients } from '../term-gradients.js';
import type { TarOptions } from './options.js';
import { resistanceTask } from './resistance.js';

/** What a step's attacks came to. */
export type Tampered = {
  /** Mean loss of the attacked models in the last step of their attacks, on what they were trained on. */
  readonly attackedLoss: number;
  /** The weighted losses on held-out examples along the attacks, summed. */
  readonly resistanceTerm: number;
};

/** What is known of a proxy. */
interface Proxy {
  /** What attacks are trained on. */
  readonly attacked: Objective;
  /** What they are judged on. */
  readonly judged: Objective;
}

/**
 * The inner loop of TAR. Everything that is drawn for a step depends on the seed and the step alone, so that a run that was interrupted
 * ends with the same bits.
 */
export class TamperAttacks {
  private constructor(
    readonly seed: number,
    readonly options: TarOptions,
    readonly proxies: readonly Proxy[],
    readonly authorized: Objective,
    readonly programs: ProgramCache,
  ) {}

  /**
   * Compiles what attacks compute.
   *
   * @throws InputError without examples of tasks that an attacker may be after, or with ones that do not fit the model.
   */
  static async open(context: LockContext, options: TarOptions): Promise<TamperAttacks> {
    const datasets = await requiredProxies(context, 'tar');
    const { model, seed, engine } = context;
    const programs = new ProgramCache(engine);
    const { batchSize, heldOut } = options.attacks;
    const shared = { model, batchSize, seed, programs };
    const judging = resistanceTask(taskOf(model), options.resistance);
    try {
      const proxies: Proxy[] = [];
      for (const dataset of datasets) {
        const { attacked, judged } = proxyParts(dataset, { heldOut, seed, name: 'tar' });
        proxies.push({
          attacked: await createObjective({ ...shared, dataset: attacked }),
          judged: await createObjective({ ...shared, dataset: judged, task: judging }),
        });
      }
      const authorized = await createObjective({ ...shared, dataset: await context.train() });
      return new TamperAttacks(seed, options, proxies, authorized, programs);
    } catch (error) {
      await programs.release();
      throw error;
    }
  }

  /**
   * Attacks copies of the weights, and adds to a gradient those of the resistance loss at points along the attacks, taken as if they
   * were at the released weights: after step i of K, `weight · exp(−decay · (K − i)) / each` times the one on a held-out batch.
   */
  async pull(params: ParameterSet, gradients: ParameterSet, step: number): Promise<Tampered> {
    const { bound, attacks } = this.options;
    const sums = new Map([...gradients].map(([name, values]) => [name, new Float32Array(values.length)]));
    let [attackedLoss, resistanceTerm] = [0, 0];
    for (let index = 0; index < attacks.each; index++) {
      const found = await this.#attack(params, sums, step * attacks.each + index);
      attackedLoss += found.loss / attacks.each;
      resistanceTerm += found.term;
    }
    if (bound === undefined || resistanceTerm >= bound) addGradients(gradients, sums);
    return { attackedLoss, resistanceTerm };
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.programs.release();
  }

  async #attack(params: ParameterSet, sums: ParameterSet, draw: number): Promise<{ loss: number; term: number }> {
    const { weight, attacks } = this.options;
    const { each, steps, every, decay } = attacks;
    const { proxy, authorizedSteps, learningRate, optimizer } = this.#drawn(draw);
    const copy = new Map([...params].map(([name, values]) => [name, values.slice()]));
    const state = optimizer.init(copy, proxy.attacked.shapes);
    let [last, term] = [0, 0];
    for (let at = 0; at < steps; at++) {
      const objective = at < authorizedSteps ? this.authorized : proxy.attacked;
      optimizer.prepare?.(state, copy);
      const { loss, gradients } = await objective.compute(copy, draw * steps + at);
      // One that diverged has learnt nothing more.
      if (!Number.isFinite(loss)) break;
      last = loss;
      await optimizer.update(gradients, state, copy, learningRate);
      if ((at + 1) % every !== 0) continue;
      const judged = await proxy.judged.compute(copy, draw);
      const factor = (weight * Math.exp(-decay * (steps - 1 - at))) / each;
      if (addGradients(sums, judged.gradients, factor)) term += factor * judged.loss;
    }
    return { loss: last, term };
  }

  /** What an attack is: each proxy as likely as an attack that takes authorized steps first. */
  #drawn(draw: number) {
    const { seed, proxies } = this;
    const { steps, learningRates, optimizers: names, switchAlpha, switchBeta } = this.options.attacks;
    const stream = new RandomStream(seed, 'tar attack', draw);
    const kind = stream.integer(proxies.length + 1);
    const isSwitching = kind === proxies.length;
    return {
      proxy: proxies[isSwitching ? stream.integer(proxies.length) : kind],
      learningRate: learningRates[stream.integer(learningRates.length)],
      optimizer: optimizers.get(names[stream.integer(names.length)]).create(),
      authorizedSteps: isSwitching ? Math.floor(steps * betaOf(stream, switchAlpha, switchBeta)) : 0,
    };
  }
}

/** A number from the Beta distribution of whole α and β: the α-th smallest of α + β − 1 uniform ones. */
export function betaOf(stream: RandomStream, alpha: number, beta: number): number {
  const uniform = Float64Array.from({ length: alpha + beta - 1 }, () => stream.uniform());
  return uniform.sort()[alpha - 1];
}
