import { svd } from '../linalg/index.js';
import { moverOf } from './descent.js';
import type { Figure2Network } from './networks.js';
import type { LossSurface } from './surface.js';

/** How {@link trained} and {@link withRaisedSingularValues} move weights. */
export interface Course {
  /** Steps of AdamW on all examples; the last three tenths at a tenth of the rate. */
  readonly steps: number;
  /** Learning rate. */
  readonly rate: number;
  /** Stops it between two steps. */
  readonly signal?: AbortSignal;
}

/** Trains on all of a surface's data, in float64; the given point stays. */
export function trained(surface: LossSurface, start: Float64Array, course: Course): Promise<Float64Array> {
  return moved(surface, start, course, () => undefined);
}

/**
 * Locks a network of Figure 2 as Algorithm 1 does, with k = 1 and all examples in each step: descends
 * `α · loss − (1 − α) · mean σ_max`, so that it keeps what it computes of its own data. A σ_max that has come to `sigma` is
 * pushed no further.
 *
 * @returns Where that ends; what the σ_max of each matrix came to has to be looked at.
 */
export function withRaisedSingularValues(
  network: Figure2Network,
  surface: LossSurface,
  start: Float64Array,
  { sigma, alpha = 0.5, ...course }: Course & { sigma: number; alpha?: number },
): Promise<Float64Array> {
  const matrices = surface.blocks.filter(({ name }) => network.weights.includes(name));
  // Of the whole by α, which AdamW does not see.
  const push = (1 - alpha) / alpha / matrices.length;
  return moved(surface, start, course, (point, gradient) => {
    for (const { offset, size, shape } of matrices) {
      const [rows, columns] = [shape[0], size / shape[0]];
      const found = svd(point.subarray(offset, offset + size), rows, columns);
      const rank = found.sigma.length;
      if (found.sigma[0] >= sigma) continue;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          gradient[offset + i * columns + j] -= push * found.u[i * rank] * found.v[j * rank];
        }
      }
    }
  });
}

async function moved(
  surface: LossSurface,
  start: Float64Array,
  { steps, rate, signal }: Course,
  change: (point: Float64Array, gradient: Float64Array) => void,
): Promise<Float64Array> {
  const point = Float64Array.from(start);
  const move = moverOf({ optimizer: 'adamw' }, point.length);
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const { gradient } = await surface.evaluate(point);
    change(point, gradient);
    move(point, gradient, step < 0.7 * steps ? rate : rate / 10);
  }
  return point;
}
