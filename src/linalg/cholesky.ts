import { InputError } from '../registry/index.js';
import { requireShape } from './matrix.js';

/**
 * The lower triangle L of `A = L·Lᵀ`, in double precision; `n³ / 3` operations.
 *
 * @param matrix - Positive definite, `[n, n]`; its lower triangle is read.
 * @returns `[n, n]`, zeros above the diagonal.
 * @throws InputError where the matrix is not positive definite.
 */
export function cholesky(matrix: Float64Array, n: number): Float64Array {
  requireShape(matrix, n, n, 'Cholesky');
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j];
      for (let k = 0, a = i * n, b = j * n; k < j; k++) sum -= l[a++] * l[b++];
      if (i !== j) {
        l[i * n + j] = sum / l[j * n + j];
        continue;
      }
      if (!(sum > 0)) throw new InputError(`Cholesky: expected a positive definite matrix, found pivot ${i} = ${sum}`);
      l[i * n + i] = Math.sqrt(sum);
    }
  }
  return l;
}

/** Solves `Lᵀ·x = b` in place. */
export function solveTransposed(l: Float64Array, n: number, b: Float64Array): void {
  for (let i = n - 1; i >= 0; i--) {
    b[i] /= l[i * n + i];
    for (let k = 0; k < i; k++) b[k] -= l[i * n + k] * b[i];
  }
}

/** The inverse of a lower triangle, a lower triangle too, `[n, n]`; `n³ / 3` operations. */
export function lowerInverse(l: Float64Array, n: number): Float64Array {
  requireShape(l, n, n, 'Cholesky');
  // Row by row: what is read and written lies in rows.
  const m = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = m.subarray(i * n, i * n + i + 1);
    for (let k = 0; k < i; k++) {
      const factor = l[i * n + k];
      for (let j = 0, at = k * n; j <= k; j++) row[j] -= factor * m[at++];
    }
    const scale = 1 / l[i * n + i];
    for (let j = 0; j < i; j++) row[j] *= scale;
    row[i] = scale;
  }
  return m;
}

/** The inverse of `A = L·Lᵀ`, symmetric, `[n, n]`; `2 n³ / 3` operations. */
export function choleskyInverse(l: Float64Array, n: number): Float64Array {
  // M = L⁻¹, and Mᵀ·M.
  const m = lowerInverse(l, n);
  const inverse = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i <= k; i++) {
      const factor = m[k * n + i];
      for (let j = 0, from = k * n, to = i * n; j <= i; j++) inverse[to++] += factor * m[from++];
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) inverse[j * n + i] = inverse[i * n + j];
  return inverse;
}
