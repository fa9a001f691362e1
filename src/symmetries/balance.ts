import { svd } from '../linalg/index.js';

/** Two matrices whose product counts alone. */
export interface Factors {
  /** `[rows, inner]`. */
  readonly left: Float64Array;
  /** `[inner, columns]`. */
  readonly right: Float64Array;
}

/**
 * The one way to write a product `left · right` of inner width d that is balanced: with P = U Σ Vᵀ, `U Σ^½` and `Σ^½ Vᵀ`, the
 * largest number of each row of the second being positive. It depends on the product alone, so whatever stood between the two
 * is undone, and no other pair with that product has a smaller `‖left‖² + ‖right‖²`. P itself, which may be large, is never formed.
 */
export function balanced({ left, right }: Factors, inner: number): Factors {
  const [rows, columns] = [left.length / inner, right.length / inner];
  const a = svd(left, rows, inner); // u [rows, ra], v [inner, ra]
  const b = svd(right, inner, columns); // u [inner, rb], v [columns, rb]
  const [ra, rb] = [a.sigma.length, b.sigma.length];
  const core = new Float64Array(ra * rb);
  for (let i = 0; i < ra; i++) {
    for (let j = 0; j < rb; j++) {
      let sum = 0;
      for (let c = 0; c < inner; c++) sum += a.v[c * ra + i] * b.u[c * rb + j];
      core[i * rb + j] = a.sigma[i] * sum * b.sigma[j];
    }
  }
  const { sigma, u, v } = svd(core, ra, rb); // u [ra, k], v [rb, k]
  const k = sigma.length;
  const [newLeft, newRight] = [new Float64Array(left.length), new Float64Array(right.length)];
  for (let j = 0; j < k; j++) {
    const root = Math.sqrt(sigma[j]);
    for (let c = 0; c < columns; c++) {
      let sum = 0;
      for (let i = 0; i < rb; i++) sum += v[i * k + j] * b.v[c * rb + i];
      newRight[j * columns + c] = root * sum;
    }
    const row = newRight.subarray(j * columns, (j + 1) * columns);
    const largest = row.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    const sign = largest < 0 ? -1 : 1;
    for (let c = 0; c < columns; c++) row[c] *= sign;
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let i = 0; i < ra; i++) sum += a.u[r * ra + i] * u[i * k + j];
      newLeft[r * inner + j] = sign * root * sum;
    }
  }
  return { left: newLeft, right: newRight };
}

/** The length of a vector. */
export const lengthOf = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
