import type { RealArray } from './matrix.js';

/**
 * `out = matrix · v` for a narrow block: two rows of the matrix and four columns of the block a pass, so that eight sums
 * stay in registers and six loads feed sixteen operations.
 *
 * @param matrix - `[rows, columns]`.
 * @param v - `[columns, width]`.
 * @param out - Receives `[rows, width]`.
 * @param triangle - Where a square matrix has its values, which is 0 elsewhere: half the work; default everywhere.
 */
export function multiplyRight(
  matrix: RealArray,
  rows: number,
  columns: number,
  v: Float64Array,
  width: number,
  out: Float64Array,
  triangle?: 'upper' | 'lower',
): void {
  for (let i = 0; i < rows; i += 2) {
    const first = i * columns;
    // The last row of an odd number is computed twice and stored twice: no second kernel.
    const second = i + 1 < rows ? first + columns : first;
    const to0 = i * width;
    const to1 = i + 1 < rows ? to0 + width : to0;
    const from = triangle === 'upper' ? i : 0;
    const end = triangle === 'lower' ? Math.min(i + 2, columns) : columns;
    let c = 0;
    for (; c + 4 <= width; c += 4) {
      let a0 = 0;
      let a1 = 0;
      let a2 = 0;
      let a3 = 0;
      let b0 = 0;
      let b1 = 0;
      let b2 = 0;
      let b3 = 0;
      for (let j = from, at = from * width + c; j < end; j++, at += width) {
        const x = matrix[first + j];
        const y = matrix[second + j];
        const v0 = v[at];
        const v1 = v[at + 1];
        const v2 = v[at + 2];
        const v3 = v[at + 3];
        a0 += x * v0;
        a1 += x * v1;
        a2 += x * v2;
        a3 += x * v3;
        b0 += y * v0;
        b1 += y * v1;
        b2 += y * v2;
        b3 += y * v3;
      }
      out[to0 + c] = a0;
      out[to0 + c + 1] = a1;
      out[to0 + c + 2] = a2;
      out[to0 + c + 3] = a3;
      out[to1 + c] = b0;
      out[to1 + c + 1] = b1;
      out[to1 + c + 2] = b2;
      out[to1 + c + 3] = b3;
    }
    for (; c < width; c++) {
      let a = 0;
      let b = 0;
      for (let j = from, at = from * width + c; j < end; j++, at += width) {
        a += matrix[first + j] * v[at];
        b += matrix[second + j] * v[at];
      }
      out[to0 + c] = a;
      out[to1 + c] = b;
    }
  }
}

/**
 * `out = matrixᵀ · q` for a narrow block, reading the matrix by rows: four rows and two columns of the block a pass.
 *
 * @param matrix - `[rows, columns]`.
 * @param q - `[rows, width]`.
 * @param out - Receives `[columns, width]`.
 */
export function multiplyLeft(
  matrix: Float32Array,
  rows: number,
  columns: number,
  q: Float64Array,
  width: number,
  out: Float64Array,
): void {
  out.fill(0);
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    const r0 = i * columns;
    const r1 = r0 + columns;
    const r2 = r1 + columns;
    const r3 = r2 + columns;
    let c = 0;
    for (; c + 2 <= width; c += 2) {
      const at = i * width + c;
      const a0 = q[at];
      const b0 = q[at + 1];
      const a1 = q[at + width];
      const b1 = q[at + width + 1];
      const a2 = q[at + 2 * width];
      const b2 = q[at + 2 * width + 1];
      const a3 = q[at + 3 * width];
      const b3 = q[at + 3 * width + 1];
      for (let j = 0, to = c; j < columns; j++, to += width) {
        const x0 = matrix[r0 + j];
        const x1 = matrix[r1 + j];
        const x2 = matrix[r2 + j];
        const x3 = matrix[r3 + j];
        out[to] += x0 * a0 + x1 * a1 + (x2 * a2 + x3 * a3);
        out[to + 1] += x0 * b0 + x1 * b1 + (x2 * b2 + x3 * b3);
      }
    }
    for (; c < width; c++) addRowProduct(matrix, i, i + 4, columns, q, width, c, out);
  }
  for (let c = 0; c < width; c++) addRowProduct(matrix, i, rows, columns, q, width, c, out);
}

/** The part of {@link multiplyLeft} that the blocks of four rows and two columns leave over. */
function addRowProduct(
  matrix: Float32Array,
  fromRow: number,
  toRow: number,
  columns: number,
  q: Float64Array,
  width: number,
  c: number,
  out: Float64Array,
): void {
  for (let i = fromRow; i < toRow; i++) {
    const factor = q[i * width + c];
    for (let j = 0, to = c; j < columns; j++, to += width) out[to] += matrix[i * columns + j] * factor;
  }
}

/**
 * `gradient += scale · Σ_j u_j · v_jᵀ` in place: the gradient of `scale · Σ_j σ_j` with respect to the matrix, since
 * ∂σ_j/∂W = u_j·v_jᵀ.
 *
 * @param gradient - `[rows, columns]`.
 * @param u - `[rows, k]`, left singular vectors as columns.
 * @param v - `[columns, k]`, right singular vectors as columns.
 * @param k - Number of triplets, of any size from 0.
 * @param scale - Common factor.
 */
export function addRankK(
  gradient: Float32Array,
  u: Float32Array,
  v: Float32Array,
  rows: number,
  columns: number,
  k: number,
  scale: number,
): void {
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    let i = 0;
    for (; i + 2 <= rows; i += 2) {
      const start = i * columns;
      const next = start + columns;
      const at0 = i * k + p;
      const at1 = at0 + k;
      const a0 = scale * u[at0];
      const a1 = scale * u[at0 + 1];
      const a2 = scale * u[at0 + 2];
      const a3 = scale * u[at0 + 3];
      const b0 = scale * u[at1];
      const b1 = scale * u[at1 + 1];
      const b2 = scale * u[at1 + 2];
      const b3 = scale * u[at1 + 3];
      for (let j = 0, at = p; j < columns; j++, at += k) {
        const v0 = v[at];
        const v1 = v[at + 1];
        const v2 = v[at + 2];
        const v3 = v[at + 3];
        gradient[start + j] += a0 * v0 + a1 * v1 + (a2 * v2 + a3 * v3);
        gradient[next + j] += b0 * v0 + b1 * v1 + (b2 * v2 + b3 * v3);
      }
    }
    if (i < rows) for (let c = p; c < p + 4; c++) addOuterRow(gradient, u, v, i, columns, k, c, scale);
  }
  for (; p < k; p++) {
    for (let i = 0; i < rows; i++) addOuterRow(gradient, u, v, i, columns, k, p, scale);
  }
}

/**
 * The left factor of `Σ_j scale · (u_jᵀ·G·v_j) · u_j·v_jᵀ`, what a gradient holds along singular directions: `addRankK` with it and v
 * adds that.
 *
 * @param gradient - G, `[rows, columns]`.
 * @param directions - `u`: `[rows, k]`, `v`: `[columns, k]`, as columns.
 * @returns `[rows, k]`.
 */
export function alongTriplets(
  gradient: Float32Array,
  { u, v, rows, columns }: { u: Float32Array; v: Float32Array; rows: number; columns: number },
  scale: number,
): Float32Array {
  const k = u.length / rows;
  const left = new Float32Array(u.length);
  for (let j = 0; j < k; j++) {
    let felt = 0;
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += gradient[i * columns + c] * v[c * k + j];
      felt += sum * u[i * k + j];
    }
    for (let i = 0; i < rows; i++) left[i * k + j] = scale * felt * u[i * k + j];
  }
  return left;
}

/** One row of one outer product of {@link addRankK}. */
function addOuterRow(
  gradient: Float32Array,
  u: Float32Array,
  v: Float32Array,
  row: number,
  columns: number,
  k: number,
  p: number,
  scale: number,
): void {
  const start = row * columns;
  const factor = scale * u[row * k + p];
  for (let j = 0, at = p; j < columns; j++, at += k) gradient[start + j] += factor * v[at];
}
