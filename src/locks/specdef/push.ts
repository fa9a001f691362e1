import type { ProgramCache } from '../../engine/index.js';
import { Graph, gemm } from '../../graph/index.js';
import { addRankK } from '../../linalg/index.js';
import type { WeightMatrix } from '../../models/index.js';
import { isLarge } from './matrices.js';

/** Elements that are pushed at a time, 16 MB: a program keeps its output, and a table of embeddings may be the model's half. */
const PIECE = 4_000_000;

/**
 * `gradient ← α · gradient + Σ_j left_j · v_jᵀ` in place. With `left_j = −(1 − α)/n · u_j` it is the gradient of line 7 of
 * Algorithm 1 for one matrix, since `∂σ_j/∂W = u_j v_jᵀ`.
 *
 * @param gradient - Gradient of ℓ_retain, `[rows, columns]`.
 * @param alpha - Weight α of the retain loss.
 * @param left - `[rows, k]`.
 * @param v - `[columns, k]`.
 * @param programs - Where programs for large matrices are kept; without it all are computed here.
 */
export async function push(
  { rows, columns }: WeightMatrix,
  gradient: Float32Array,
  alpha: number,
  left: Float32Array,
  v: Float32Array,
  programs?: ProgramCache,
): Promise<void> {
  const k = left.length / rows;
  if (!programs || !isLarge({ rows, columns })) {
    scale(gradient, alpha);
    addRankK(gradient, left, v, rows, columns, k, 1);
    return;
  }
  // 512×4608 and k 4: 0.8 ms with the copy; 4.7 ms in TypeScript.
  const most = Math.max(1, Math.floor(PIECE / columns));
  for (let row = 0; row < rows; row += most) {
    const height = Math.min(most, rows - row);
    const program = await programs.get(`push ${height} ${columns} ${k} ${alpha}`, () => {
      const graph = new Graph();
      const [u, vectors] = [graph.input('left', [height, k]), graph.input('v', [columns, k])];
      return { pushed: gemm(u, vectors, graph.input('gradient', [height, columns]), { transB: true, beta: alpha }) };
    });
    const piece = gradient.subarray(row * columns, (row + height) * columns);
    const { pushed } = await program.run({ left: left.subarray(row * k, (row + height) * k), v, gradient: piece });
    piece.set(pushed as Float32Array);
  }
}

/** `values ← factor · values`. */
export function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
}
