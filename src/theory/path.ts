import { symmetricEigen } from '../linalg/index.js';
import { InputError } from '../registry/index.js';
import type { Goal } from './descent.js';
import { dot, lanczos, norm, type Tridiagonal } from './lanczos.js';
import type { LossSurface } from './surface.js';

/** What {@link pathSteps} foresees. */
export interface PredictedPath {
  /** Steps to the target; none: not within the budget, or the last model never gets there. */
  readonly steps?: number;
  /** Local models that it was laid together from. */
  readonly models: number;
  /** Losses, gradients and products that it took: what so many steps would have cost. */
  readonly evaluations: number;
}

/** Local models that {@link pathSteps} makes at most, if nothing else is asked for. */
export const pathModels = 16;

/** Options of {@link pathSteps}. */
export interface PathOptions {
  /** Local models at most; the last is believed to the end. Default {@link pathModels}. */
  models?: number;
  /** Products for each; default 20. */
  products?: number;
  /** How far off a model's fall may be from the loss's own at its end, of that fall; default 0.2. */
  tolerance?: number;
  /** Stops it between two products. */
  signal?: AbortSignal;
}

/** A quadratic model of a loss within the Krylov space of its gradient, in which steps of gradient descent have a closed form. */
class KrylovModel {
  readonly #values: Float64Array;
  readonly #slopes: Float64Array;
  readonly #vectors: Float64Array;

  constructor(
    readonly loss: number,
    gradientNorm: number,
    readonly space: Tridiagonal,
  ) {
    const { diagonal, off } = space;
    const n = diagonal.length;
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      matrix[i * n + i] = diagonal[i];
      if (i > 0) matrix[i * n + i - 1] = off[i - 1];
    }
    const { values, vectors } = symmetricEigen(matrix, n, { vectors: true });
    this.#values = values;
    this.#vectors = vectors;
    this.#slopes = values.map((_, k) => gradientNorm * vectors[k * n]);
  }

  /** Displacement along each eigenvector after some steps: `−g (1 − (1 − ηλ)ᵗ) / λ`. */
  #moved(rate: number, steps: number): Float64Array {
    return this.#values.map((value, k) => {
      const small = Math.abs(rate * value) * steps < 1e-12;
      return -this.#slopes[k] * (small ? rate * steps : (1 - (1 - rate * value) ** steps) / value);
    });
  }

  /** The model's loss after some steps. */
  lossAfter(rate: number, steps: number): number {
    const moved = this.#moved(rate, steps);
    return moved.reduce((sum, d, k) => sum + this.#slopes[k] * d + (this.#values[k] * d * d) / 2, this.loss);
  }

  /** The point after some steps from a start. */
  pointAfter(start: Float64Array, rate: number, steps: number): Float64Array {
    const moved = this.#moved(rate, steps);
    const n = moved.length;
    const point = Float64Array.from(start);
    this.space.basis.forEach((column, i) => {
      const length = dot(
        moved,
        moved.map((_, k) => this.#vectors[k * n + i]),
      );
      for (let j = 0; j < point.length; j++) point[j] += length * column[j];
    });
    return point;
  }

  /** The first step within a limit after which the model is at a target, by halving. */
  stepsTo(target: number, rate: number, limit: number): number | undefined {
    let high = 1;
    // A comparison with NaN is false: what has overflowed is not there.
    while (!(this.lossAfter(rate, high) <= target)) {
      high *= 2;
      if (high > limit) return this.lossAfter(rate, limit) <= target ? limit : undefined;
    }
    return firstAbove(Math.floor(high / 2), high, (steps) => this.lossAfter(rate, steps) > target);
  }
}

/** Of whole numbers up to `high`, above `low`, the first for which something no longer holds. */
function firstAbove(low: number, high: number, holds: (steps: number) => boolean): number {
  let [below, above] = [low, high];
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (holds(middle)) below = middle;
    else above = middle;
  }
  return above;
}

/**
 * Steps of gradient descent to a target from local models laid end to end: each is followed as far as the loss itself, looked at
 * here and there, falls as the model says, and a new one is made there. Where a model holds for long, many steps cost no
 * more than a few; its first step is gradient descent's own.
 *
 * @throws InputError when the loss is not finite.
 */
export async function pathSteps(
  surface: LossSurface,
  start: Float64Array,
  rate: number,
  { target, budget }: Goal,
  { models: most = pathModels, products = 20, tolerance = 0.2, signal }: PathOptions = {},
): Promise<PredictedPath> {
  let [point, done, evaluations] = [start, 0, 0];
  for (let models = 1; ; models++) {
    const { loss, gradient } = await surface.evaluate(point);
    evaluations++;
    if (!Number.isFinite(loss)) throw new InputError(`predicted path: expected a finite loss, got ${loss}`);
    if (loss <= target) return { steps: done, models: models - 1, evaluations };
    const left = budget - done;
    if (left <= 0 || !(norm(gradient) > 0)) return { models: models - 1, evaluations };
    const here = point;
    const space = await lanczos(
      (vector) => {
        signal?.throwIfAborted();
        return surface.product('hessian', here, vector);
      },
      gradient,
      products,
    );
    evaluations += space.diagonal.length;
    const model = new KrylovModel(loss, norm(gradient), space);
    const arrival = model.stepsTo(target, rate, left);
    if (models === most) return { ...(arrival !== undefined && { steps: done + arrival }), models, evaluations };
    const limit = arrival ?? left;
    const holds = async (steps: number) => {
      evaluations++;
      const { loss: real } = await surface.evaluate(model.pointAfter(here, rate, steps));
      const said = model.lossAfter(rate, steps);
      return Math.abs(real - said) <= tolerance * Math.abs(loss - said);
    };
    const steps = await farthest(limit, holds);
    if (steps === limit) return { ...(arrival !== undefined && { steps: done + limit }), models, evaluations };
    point = model.pointAfter(here, rate, steps);
    done += steps;
  }
}

/** How many steps hold, to a tenth: by doubling from one, which holds by itself, then halving. */
async function farthest(limit: number, holds: (steps: number) => Promise<boolean>): Promise<number> {
  let low = 1;
  let high = limit + 1;
  while (low < limit) {
    const next = Math.min(2 * low, limit);
    if (await holds(next)) low = next;
    else {
      high = next;
      break;
    }
  }
  while (low < limit && high - low > Math.max(1, low / 10)) {
    const middle = Math.floor((low + high) / 2);
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
