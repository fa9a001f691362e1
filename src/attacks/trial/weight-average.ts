import type { ParameterSet } from '../../training/index.js';

/** How an attacker averages the weights that he trains. */
export type Averaging =
  | {
      /** An exponential moving average: each step keeps `decay` of it, fewer at first. */
      readonly kind: 'ema';
      /** From 0 to below 1. */
      readonly decay: number;
    }
  | {
      /** The plain mean of the last steps. */
      readonly kind: 'tail';
      /** The share of all steps that are averaged, from 0 to 1. */
      readonly share: number;
    };

/**
 * An average of weights over the steps of a run, which is what is evaluated. Running statistics are averaged as well.
 *
 *     ema: a ← d·a + (1 − d)·w, d = min(decay, (1 + t) / (10 + t)) after t steps, a₀ = w₀
 *     tail: the mean of w over all steps after (1 − share)·steps; w before
 *
 * @see Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); Izmailov et al., "Averaging Weights Leads
 * to Wider Optima and Better Generalization", UAI 2018; the growing decay: TensorFlow's `ExponentialMovingAverage`.
 */
export class WeightAverage {
  /** The average now. */
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly #first: number;
  #step = 0;
  #averaged = 0;

  /**
   * @param params - The weights before the first step.
   * @param steps - Steps of the whole run.
   */
  constructor(
    params: ParameterSet,
    readonly averaging: Averaging,
    steps: number,
  ) {
    this.values = new Map(Array.from(params, ([name, values]) => [name, values.slice()]));
    this.#first = averaging.kind === 'tail' ? Math.min(Math.floor((1 - averaging.share) * steps), steps - 1) : 0;
  }

  /** Takes in the weights after a step. */
  add(params: ParameterSet): void {
    this.#step++;
    const kept = this.#kept();
    for (const [name, values] of this.values) {
      const now = params.get(name) ?? values;
      for (let i = 0; i < values.length; i++) values[i] = kept === 0 ? now[i] : kept * values[i] + (1 - kept) * now[i];
    }
  }

  /** The share of the average that the next step leaves. */
  #kept(): number {
    const { averaging } = this;
    if (averaging.kind === 'ema') return Math.min(averaging.decay, (1 + this.#step) / (10 + this.#step));
    if (this.#step <= this.#first) return 0;
    this.#averaged++;
    return 1 - 1 / this.#averaged;
  }
}
