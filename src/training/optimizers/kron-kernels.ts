/** Products and solutions of PSGD's factors, row-major; sums in float64. */

/**
 * `x = l⁻¹ x` in place by forward substitution, four known rows a pass.
 *
 * @param l - `[n, n]`, lower triangular.
 * @param x - `[n, width]`.
 */
export function solveLower(l: Float64Array, n: number, x: Float64Array, width: number): void {
  for (let i = 0; i < n; i++) {
    const row = i * width;
    let k = 0;
    for (; k + 4 <= i; k += 4) {
      const l0 = l[i * n + k];
      const l1 = l[i * n + k + 1];
      const l2 = l[i * n + k + 2];
      const l3 = l[i * n + k + 3];
      const known = k * width;
      for (let c = 0; c < width; c++) {
        const at = known + c;
        x[row + c] -= l0 * x[at] + l1 * x[at + width] + (l2 * x[at + 2 * width] + l3 * x[at + 3 * width]);
      }
    }
    for (; k < i; k++) {
      const factor = l[i * n + k];
      for (let c = 0; c < width; c++) x[row + c] -= factor * x[k * width + c];
    }
    const scale = 1 / l[i * n + i];
    for (let c = 0; c < width; c++) x[row + c] *= scale;
  }
}

/**
 * `out = x · xᵀ`, two rows by two a pass.
 *
 * @param x - `[n, width]`.
 * @param out - Receives `[n, n]`, symmetric.
 */
export function gram(x: Float64Array, n: number, width: number, out: Float64Array): void {
  for (let i = 0; i < n; i += 2) {
    const i1 = Math.min(i + 1, n - 1);
    const x0 = i * width;
    const x1 = i1 * width;
    for (let j = i; j < n; j += 2) {
      const j1 = Math.min(j + 1, n - 1);
      const y0 = j * width;
      const y1 = j1 * width;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      for (let c = 0; c < width; c++) {
        const a = x[x0 + c];
        const b = x[x1 + c];
        const y = x[y0 + c];
        const z = x[y1 + c];
        s00 += a * y;
        s01 += a * z;
        s10 += b * y;
        s11 += b * z;
      }
      out[i * n + j] = out[j * n + i] = s00;
      out[i * n + j1] = out[j1 * n + i] = s01;
      out[i1 * n + j] = out[j * n + i1] = s10;
      out[i1 * n + j1] = out[j1 * n + i1] = s11;
    }
  }
}

/** `out = xᵀ`; x is `[rows, columns]`. */
export function transpose(x: Float64Array | Float32Array, rows: number, columns: number, out: Float64Array): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
  }
}

/**
 * A lower bound of the largest singular value of a symmetric matrix, at most √2 below it by the experience of its
 * authors: `|S y| / |y|` for y = S times the longest row of S.
 *
 * @param s - `[n, n]`, symmetric.
 * @param work - At least 2 n values, overwritten.
 * @see norm_lower_bound of psgd_torch.
 */
export function normLowerBound(s: Float64Array, n: number, work: Float64Array): number {
  let largest = 0;
  let longest = 0;
  let longestRow = 0;
  for (let i = 0; i < n * n; i++) largest = Math.max(largest, Math.abs(s[i]));
  if (!(largest > 0)) return largest;
  for (let i = 0; i < n; i++) {
    let length = 0;
    for (let j = 0; j < n; j++) length += (s[i * n + j] / largest) ** 2;
    if (length > longest) {
      longest = length;
      longestRow = i;
    }
  }
  const row = work.subarray(0, n);
  const y = work.subarray(n, 2 * n);
  for (let j = 0; j < n; j++) row[j] = s[longestRow * n + j] / largest;
  const before = timesSymmetric(s, n, largest, row, y);
  for (let j = 0; j < n; j++) row[j] = y[j] / before;
  return largest * timesSymmetric(s, n, largest, row, y);
}

/** `out = (s / scale) · x`; returns its length. */
function timesSymmetric(s: Float64Array, n: number, scale: number, x: Float64Array, out: Float64Array): number {
  let squares = 0;
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += s[i * n + j] * x[j];
    out[i] = sum / scale;
    squares += out[i] ** 2;
  }
  return Math.sqrt(squares);
}
