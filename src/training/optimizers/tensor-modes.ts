import { transpose } from './kron-kernels.js';
import { multiply, multiplyByOwnTranspose } from './products.js';
import type { Workspace } from './workspace.js';

/**
 * Multiplies every dimension i of a tensor by a matrix, in place: `out[…, e, …] = Σ_d x[…, d, …] · Mᵢ[d, e]`.
 *
 * @param matrices - One `[dᵢ, dᵢ]` a dimension, or its diagonal `[dᵢ]`; none: the dimension stays as it is.
 */
export async function multiplyModes(
  x: Float64Array,
  shape: readonly number[],
  matrices: readonly (Float64Array | undefined)[],
  work: Workspace,
): Promise<void> {
  const turned = work.take('turned', x.length);
  for (const [mode, size] of shape.entries()) {
    // The leading dimension goes to the end, so that each leads once, and after the last all are where they were.
    const rest = x.length / size;
    const matrix = matrices[mode];
    transpose(x, size, rest, turned);
    if (!matrix || matrix.length === size) {
      for (let at = 0, k = 0; at < x.length; at++, k = k + 1 === size ? 0 : k + 1) {
        x[at] = matrix ? turned[at] * matrix[k] : turned[at];
      }
    } else await multiply(turned, matrix, { rows: rest, inner: size, columns: size }, x);
  }
}

/**
 * Gives every dimension's matrix of inner products of its slices: `x xᵀ` for x unfolded along it, `[dᵢ, dᵢ]`.
 *
 * @param take - Hears of each that it wants; the matrix is written over by the next one.
 */
export async function eachModeGram(
  x: Float64Array,
  shape: readonly number[],
  isWanted: (mode: number) => boolean,
  take: (mode: number, gram: Float64Array) => void,
  work: Workspace,
): Promise<void> {
  const now = work.take('unfolded', x.length);
  const turned = work.take('turned', x.length);
  now.set(x);
  for (const [mode, size] of shape.entries()) {
    const rest = x.length / size;
    if (isWanted(mode)) {
      const out = work.take('gram', size * size);
      await multiplyByOwnTranspose(now, size, rest, out);
      take(mode, out);
    }
    transpose(now, size, rest, turned);
    now.set(turned);
  }
}
