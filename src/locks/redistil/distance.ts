import type { StateDict, WeightMatrix } from '../../models/index.js';
import type { ParameterSet } from '../../training/index.js';
import { lengthOf } from './mix.js';

/** The relative distance of two unrelated matrices of one length: further away there is nothing to gain. */
const UNRELATED = Math.SQRT2;

/** How far matrices are from what they were when this was made: `‖W − W₀‖ / ‖W₀‖`, of each. */
export class Distance {
  readonly #originals: ReadonlyMap<string, { readonly data: Float32Array; readonly length: number }>;
  readonly #weights: StateDict;

  constructor(weights: StateDict, matrices: readonly WeightMatrix[]) {
    this.#weights = weights;
    const named = matrices.map(({ name }) => [name, (weights.get(name)?.data ?? new Float32Array()).slice()] as const);
    this.#originals = new Map(named.map(([name, data]) => [name, { data, length: lengthOf(data) }]));
  }

  /** Of each matrix, of the weights as they are now. */
  all(): Record<string, number> {
    return Object.fromEntries(
      [...this.#originals].map(([name, { data, length }]) => {
        const now = this.#weights.get(name)?.data ?? data;
        return [name, length > 0 ? distanceOf(now, data) / length : 0];
      }),
    );
  }

  /**
   * Adds to the gradients those of `−weight · mean_m min(d_m, √2)`, d_m a matrix' relative distance, in place. At the original
   * itself there is no direction away from it, and nothing is added.
   *
   * @returns The mean distance before the step.
   */
  push(params: ParameterSet, gradients: ParameterSet, weight: number): { distance: number } {
    let sum = 0;
    for (const [name, { data, length }] of this.#originals) {
      const [now, gradient] = [params.get(name), gradients.get(name)];
      if (!now || !gradient || length === 0) continue;
      const apart = distanceOf(now, data);
      sum += apart / length;
      if (apart === 0 || apart / length >= UNRELATED) continue;
      const factor = -weight / (this.#originals.size * length * apart);
      for (let i = 0; i < data.length; i++) gradient[i] += factor * (now[i] - data[i]);
    }
    return { distance: sum / this.#originals.size };
  }
}

function distanceOf(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}
