import { svd } from '../linalg/index.js';
import type { StateDict, Weight } from '../models/index.js';

/**
 * The adaptive attack on a lock that raised the `topK` largest singular values: sets those of each matrix to the first
 * one below them, `W ← W − Σ_{j ≤ k} (σ_j − σ_{k+1}) u_j v_jᵀ`. Where a matrix has no more than `topK` of them, all go to
 * its smallest. Weights of one axis stay.
 *
 * @param topK - How many the lock raised; the attacker is taken to know.
 * @returns New weights.
 */
export function clipRaised(weights: StateDict, topK: number): Map<string, Weight> {
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      if (shape.length < 2 || data.length === 0) return [name, { shape, data: data.slice() }];
      return [name, { shape, data: clipMatrix(data, shape[0], data.length / shape[0], topK) }];
    }),
  );
}

function clipMatrix(matrix: Float32Array, rows: number, columns: number, topK: number): Float32Array {
  const { sigma, u, v } = svd(matrix, rows, columns);
  const rank = sigma.length;
  const level = sigma[Math.min(topK, rank - 1)];
  const clipped = matrix.slice();
  for (let j = 0; j < Math.min(topK, rank); j++) {
    for (let i = 0; i < rows; i++) {
      const factor = (sigma[j] - level) * u[i * rank + j];
      for (let c = 0; c < columns; c++) clipped[i * columns + c] -= factor * v[c * rank + j];
    }
  }
  return clipped;
}
