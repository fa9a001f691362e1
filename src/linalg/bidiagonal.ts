import { WeightlockError } from '../registry/index.js';
import { makeReflector } from './qr.js';

const EPSILON = 2 ** -53;

/**
 * Reduces a square matrix to an upper bidiagonal one with the same singular values, by Householder reflections from
 * both sides (Golub and Kahan 1965). `8/3 n³` operations; each step reads the remaining rows twice.
 *
 * @param a - `[n, n]`, destroyed.
 * @param diagonal - Receives n values.
 * @param superdiagonal - Receives n − 1 values at its start.
 */
export function bidiagonalize(a: Float64Array, n: number, diagonal: Float64Array, superdiagonal: Float64Array): void {
  const column = new Float64Array(n);
  const row = new Float64Array(n);
  const product = new Float64Array(n);
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) column[i] = a[i * n + j];
    const leftTau = makeReflector(column, j, n - j - 1);
    diagonal[j] = column[j];
    column[j] = 1;
    if (j + 1 === n) break;
    if (leftTau !== 0) multiplyTransposed(a, n, j, column, product);
    else product.fill(0);
    for (let p = j + 1; p < n; p++) row[p] = a[j * n + p] - leftTau * product[p];
    const rightTau = makeReflector(row, j + 1, n - j - 2);
    superdiagonal[j] = row[j + 1];
    row[j + 1] = 1;
    for (let i = j + 1; i < n; i++) {
      updateRow(a, i * n, j + 1, n, leftTau * column[i], product, rightTau, row);
    }
  }
}

/** `product[p] = Σ_i v[i] · a[i, p]` for rows from `j` and columns behind `j`; four rows a pass save loads of the sum. */
function multiplyTransposed(a: Float64Array, n: number, j: number, v: Float64Array, product: Float64Array): void {
  product.fill(0);
  let i = j;
  for (; i + 4 <= n; i += 4) {
    const v0 = v[i];
    const v1 = v[i + 1];
    const v2 = v[i + 2];
    const v3 = v[i + 3];
    const at = i * n;
    for (let p = j + 1; p < n; p++) {
      const x = at + p;
      product[p] += v0 * a[x] + v1 * a[x + n] + (v2 * a[x + 2 * n] + v3 * a[x + 3 * n]);
    }
  }
  for (; i < n; i++) {
    for (let p = j + 1; p < n; p++) product[p] += v[i] * a[i * n + p];
  }
}

/** Both reflections of one row: `row −= left·product`, then `row −= τ·(row·v)·v`; the first pass gathers the dot product. */
function updateRow(
  a: Float64Array,
  at: number,
  from: number,
  n: number,
  left: number,
  product: Float64Array,
  tau: number,
  v: Float64Array,
): void {
  let s0 = 0;
  let s1 = 0;
  let p = from;
  for (; p + 2 <= n; p += 2) {
    const x = a[at + p] - left * product[p];
    const y = a[at + p + 1] - left * product[p + 1];
    a[at + p] = x;
    a[at + p + 1] = y;
    s0 += x * v[p];
    s1 += y * v[p + 1];
  }
  for (; p < n; p++) {
    a[at + p] -= left * product[p];
    s0 += a[at + p] * v[p];
  }
  const scale = tau * (s0 + s1);
  if (scale === 0) return;
  for (p = from; p < n; p++) a[at + p] -= scale * v[p];
}

/**
 * Singular values of an upper bidiagonal matrix by implicit QR, with a zero shift where a diagonal entry vanishes.
 * Error at most a few rounding errors of the largest. Source: Golub and Reinsch 1970; Demmel and Kahan, SIAM J. Sci.
 * Stat. Comput. 11 (1990) for the zero shift.
 *
 * @param d - Diagonal, n values; overwritten with the singular values in no order.
 * @param e - Superdiagonal, n − 1 values at its start; destroyed.
 * @throws WeightlockError when 60·n sweeps do not suffice (not seen).
 */
export function bidiagonalSingularValues(d: Float64Array, e: Float64Array, n: number): void {
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(d[i]), i + 1 < n ? Math.abs(e[i]) : 0);
  const negligible = EPSILON * largest;
  let high = n - 1;
  for (let sweeps = 0; high > 0; sweeps++) {
    if (sweeps > 60 * n) throw new WeightlockError(`singular values: no convergence of a ${n} × ${n} matrix`);
    let low = high;
    while (
      low > 0 &&
      Math.abs(e[low - 1]) > Math.max(negligible, EPSILON * (Math.abs(d[low - 1]) + Math.abs(d[low])))
    ) {
      low--;
    }
    if (low > 0) e[low - 1] = 0;
    if (low === high) {
      high--;
      continue;
    }
    let smallest = Number.POSITIVE_INFINITY;
    for (let i = low; i <= high; i++) smallest = Math.min(smallest, Math.abs(d[i]));
    if (smallest <= negligible) sweepWithoutShift(d, e, low, high);
    else sweepWithShift(d, e, low, high, smallerSingularValue(d[high - 1], e[high - 1], d[high]));
  }
  for (let i = 0; i < n; i++) d[i] = Math.abs(d[i]);
}

/** The smaller singular value of [[f, g], [0, h]]: |f·h| over the larger one. */
function smallerSingularValue(f: number, g: number, h: number): number {
  const sum = Math.hypot(f + h, g);
  const difference = Math.hypot(f - h, g);
  return Math.abs(f * h) === 0 ? 0 : (2 * Math.abs(f * h)) / (sum + difference);
}

/** One QR step on BᵀB − shift²·I without forming it: a bulge chased down by rotations from right and left. */
function sweepWithShift(d: Float64Array, e: Float64Array, low: number, high: number, shift: number): void {
  let f = (Math.abs(d[low]) - shift) * (Math.sign(d[low]) + shift / d[low]);
  let g = e[low];
  for (let i = low; i < high; i++) {
    let size = Math.hypot(f, g);
    let cosine = size === 0 ? 1 : f / size;
    let sine = size === 0 ? 0 : g / size;
    if (i > low) e[i - 1] = size;
    f = cosine * d[i] + sine * e[i];
    e[i] = cosine * e[i] - sine * d[i];
    g = sine * d[i + 1];
    d[i + 1] *= cosine;
    size = Math.hypot(f, g);
    cosine = size === 0 ? 1 : f / size;
    sine = size === 0 ? 0 : g / size;
    d[i] = size;
    f = cosine * e[i] + sine * d[i + 1];
    d[i + 1] = cosine * d[i + 1] - sine * e[i];
    if (i + 1 < high) {
      g = sine * e[i + 1];
      e[i + 1] *= cosine;
    }
  }
  e[high - 1] = f;
}

/** The same step for shift 0, which costs no relative accuracy and splits off a zero diagonal entry in one sweep. */
function sweepWithoutShift(d: Float64Array, e: Float64Array, low: number, high: number): void {
  let rightCosine = 1;
  let leftCosine = 1;
  let leftSine = 0;
  for (let i = low; i < high; i++) {
    let f = d[i] * rightCosine;
    let size = Math.hypot(f, e[i]);
    rightCosine = size === 0 ? 1 : f / size;
    const rightSine = size === 0 ? 0 : e[i] / size;
    if (i > low) e[i - 1] = leftSine * size;
    f = leftCosine * size;
    const g = d[i + 1] * rightSine;
    size = Math.hypot(f, g);
    leftCosine = size === 0 ? 1 : f / size;
    leftSine = size === 0 ? 0 : g / size;
    d[i] = size;
  }
  const last = d[high] * rightCosine;
  e[high - 1] = last * leftSine;
  d[high] = last * leftCosine;
}
