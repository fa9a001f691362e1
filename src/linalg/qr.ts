import { InputError } from '../registry/index.js';
import { type RealArray, requireShape, transpose } from './matrix.js';

/** Squares below this are near underflow, have few digits, and would give a reflector that is not orthogonal. */
const NEGLIGIBLE_SQUARE = 1e-280;

/**
 * Thin QR of a tall matrix by Householder reflections in double precision: `a = q · r`.
 * The columns of `q` are orthonormal to rounding whatever `a` is, rank-deficient or zero too.
 *
 * @param a - `[rows, columns]`, rows ≥ columns; entries from about 1e-140 (smaller ones count as 0) to 1e150, so that squares stay in range.
 * @param q - Receives the basis `[rows, columns]`; may be `a` itself.
 * @param r - Receives the upper triangle `[columns, columns]`, zeros below; its diagonal may be negative.
 * @param work - Scratch of `columns · (rows + 1)` values or more, to allocate nothing (default: allocated).
 * @throws InputError when the sizes do not fit.
 */
export function thinQr(
  a: RealArray,
  rows: number,
  columns: number,
  q: RealArray,
  r: Float64Array,
  work: Float64Array = new Float64Array(columns * (rows + 1)),
): void {
  requireShape(a, rows, columns, 'QR');
  if (rows < columns) throw new InputError(`QR: expected at least as many rows as columns, found ${rows} × ${columns}`);
  transpose(a, rows, columns, work);
  const coefficients = work.subarray(columns * rows, columns * (rows + 1));
  factorColumns(work, rows, columns, coefficients, r);
  formColumns(work, rows, columns, coefficients);
  transpose(work.subarray(0, columns * rows), columns, rows, q);
}

/**
 * Householder factorization of a matrix held by contiguous columns: reflectors below the diagonal, `r` apart.
 *
 * @param t - `[columns, rows]`: column j of the matrix at `j · rows`; overwritten with the reflectors (first entry 1 implied).
 * @param coefficients - Receives τ of each reflector I − τ·v·vᵀ; 0 where the column needs none.
 * @param r - Receives `[columns, columns]`, upper triangular.
 */
export function factorColumns(
  t: Float64Array,
  rows: number,
  columns: number,
  coefficients: Float64Array,
  r: Float64Array,
): void {
  r.fill(0);
  for (let j = 0; j < columns; j++) {
    const start = j * rows + j;
    const length = rows - j - 1;
    coefficients[j] = makeReflector(t, start, length);
    if (coefficients[j] !== 0) {
      for (let p = j + 1; p < columns; p++) reflect(t, start, p * rows + j, length, coefficients[j]);
    }
    for (let p = 0; p <= j; p++) r[p * columns + j] = t[j * rows + p];
  }
}

/** Turns the output of {@link factorColumns} into the orthonormal columns, in place, last reflector first. */
function formColumns(t: Float64Array, rows: number, columns: number, coefficients: Float64Array): void {
  for (let j = columns - 1; j >= 0; j--) {
    const start = j * rows + j;
    const length = rows - j - 1;
    const tau = coefficients[j];
    for (let p = j + 1; p < columns; p++) {
      t[p * rows + j] = 0;
      if (tau !== 0) reflect(t, start, p * rows + j, length, tau);
    }
    t[start] = 1 - tau;
    for (let i = start + 1; i <= start + length; i++) t[i] *= -tau;
  }
}

/**
 * Replaces x = (α, tail) at `start` by (β, v's tail) with (I − τ·v·vᵀ)·x = (β, 0), v's first entry 1.
 *
 * @returns τ, 0 when the tail is zero already or negligible.
 */
export function makeReflector(x: Float64Array, start: number, tailLength: number): number {
  const square = dot(x, start + 1, x, start + 1, tailLength);
  if (square === 0) return 0;
  const alpha = x[start];
  if (alpha * alpha + square < NEGLIGIBLE_SQUARE) {
    x.fill(0, start + 1, start + 1 + tailLength);
    return 0;
  }
  const size = Math.sqrt(alpha * alpha + square);
  const beta = alpha > 0 ? -size : size;
  const factor = 1 / (alpha - beta);
  for (let i = start + 1; i <= start + tailLength; i++) x[i] *= factor;
  x[start] = beta;
  return (beta - alpha) / beta;
}

/** Applies I − τ·v·vᵀ (v's tail behind `v`, first entry 1) to the vector at `x`, both in `t`. */
function reflect(t: Float64Array, v: number, x: number, tailLength: number, tau: number): void {
  const product = tau * (t[x] + dot(t, v + 1, t, x + 1, tailLength));
  t[x] -= product;
  for (let i = 1; i <= tailLength; i++) t[x + i] -= product * t[v + i];
}

/** Σ x[i]·y[i] with four partial sums: the additions of one sum would wait for one another. */
export function dot(x: Float64Array, xStart: number, y: Float64Array, yStart: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    s0 += x[xStart + i] * y[yStart + i];
    s1 += x[xStart + i + 1] * y[yStart + i + 1];
    s2 += x[xStart + i + 2] * y[yStart + i + 2];
    s3 += x[xStart + i + 3] * y[yStart + i + 3];
  }
  for (; i < length; i++) s0 += x[xStart + i] * y[yStart + i];
  return s0 + s1 + (s2 + s3);
}
