import { bidiagonalize, bidiagonalSingularValues } from './bidiagonal.js';
import { JacobiSvd } from './jacobi.js';
import { powerOfTwoScale, type RealArray, requireFiniteMatrix, transpose } from './matrix.js';
import { multiplyRight } from './products.js';
import { dot, factorColumns, thinQr } from './qr.js';
import { symmetricEigen } from './symmetric.js';

/** Up to this size Jacobi is the faster way to the values, and more accurate for graded matrices. */
const JACOBI_LIMIT = 32;

/** From this size on Jacobi begins near its end, with the eigenvectors of the Gram matrix: an eighth of the rotations. */
const NEAR_ABOVE = 64;

/** Longer matrices of more values are reduced in blocks, so that no copy in double precision takes twice their memory. */
const BLOCKED_ABOVE = 2 ** 20;

/** A thin singular value decomposition: `matrix = u · diag(sigma) · vᵀ`, r = min(rows, columns). */
export interface Svd {
  /** `[r]`, descending. */
  sigma: Float64Array;
  /** `[rows, r]`, orthonormal columns. */
  u: Float64Array;
  /** `[columns, r]`, orthonormal columns. */
  v: Float64Array;
}

/**
 * Thin SVD by QR and one-sided Jacobi, in double precision; meant for a smaller dimension up to some hundreds.
 *
 * @param matrix - `[rows, columns]`.
 * @throws InputError when a value is not finite or the sizes do not fit.
 */
export function svd(matrix: RealArray, rows: number, columns: number): Svd {
  requireFiniteMatrix(matrix, rows, columns, 'SVD');
  const tall = rows >= columns;
  const [m, n] = tall ? [rows, columns] : [columns, rows];
  const a = new Float64Array(m * n);
  if (tall) a.set(matrix);
  else transpose(matrix, rows, columns, a);
  const scale = powerOfTwoScale(a);
  for (let i = 0; i < a.length; i++) a[i] *= scale;

  const r = new Float64Array(n * n);
  thinQr(a, m, n, a, r);
  const sigma = new Float64Array(n);
  const left = new Float64Array(n * n);
  const right = new Float64Array(n * n);
  new JacobiSvd(n).decompose(r, sigma, left, right, n > NEAR_ABOVE ? nearLeftVectors(r, n) : undefined);
  for (let j = 0; j < n; j++) sigma[j] /= scale;
  const long = new Float64Array(m * n);
  multiplyRight(a, m, n, left, n, long);
  return tall ? { sigma, u: long, v: right } : { sigma, u: right, v: long };
}

/**
 * The eigenvectors of `a · aᵀ`, in rows: left vectors but for what the squares lose, which Jacobi then finds.
 *
 * @see Drmač and Veselić, "New fast and accurate Jacobi SVD algorithm", SIAM J. Matrix Anal. 29 (2008), on such starts.
 */
function nearLeftVectors(a: Float64Array, n: number): Float64Array {
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) gram[i * n + j] = dot(a, i * n, a, j * n, n);
  return symmetricEigen(gram, n, { vectors: true }).vectors;
}

/**
 * All singular values, descending, in double precision without the Gram matrix (which would square the condition
 * number): error at most about 1e-13 of the largest. Householder QR, bidiagonalization and implicit QR; Jacobi when
 * small. Takes `8/3 n³` operations for n = min(rows, columns): 1 s at 1024, 10 s at 2048 (measured), cubic beyond.
 *
 * @param matrix - `[rows, columns]`.
 * @returns `[min(rows, columns)]`.
 * @throws InputError when a value is not finite or the sizes do not fit.
 */
export function exactSingularValues(matrix: RealArray, rows: number, columns: number): Float64Array {
  requireFiniteMatrix(matrix, rows, columns, 'singular values');
  const m = Math.max(rows, columns);
  const n = Math.min(rows, columns);
  const square = new Float64Array(n * n);
  const scale = powerOfTwoScale(matrix);
  if (m === n) {
    for (let i = 0; i < square.length; i++) square[i] = matrix[i] * scale;
  } else if (m * n > BLOCKED_ABOVE) {
    reduceInBlocks(matrix, rows, columns, scale, square);
  } else {
    // Contiguous long columns: the transpose of a tall matrix, a wide one as it is.
    const long = new Float64Array(m * n);
    if (rows >= columns) transpose(matrix, rows, columns, long);
    else long.set(matrix);
    for (let i = 0; i < long.length; i++) long[i] *= scale;
    factorColumns(long, m, n, new Float64Array(n), square);
  }
  const sigma = new Float64Array(n);
  if (n <= JACOBI_LIMIT) {
    new JacobiSvd(n).values(square, sigma);
  } else {
    const superdiagonal = new Float64Array(n);
    bidiagonalize(square, n, sigma, superdiagonal);
    bidiagonalSingularValues(sigma, superdiagonal, n);
    sigma.sort().reverse();
  }
  for (let j = 0; j < n; j++) sigma[j] /= scale;
  return sigma;
}

/**
 * The triangle of a QR of the long side, `r`'s singular values are the matrix's: block after block of its length below the
 * triangle so far, so that only blocks are copied. Four times as long as wide, a block costs a quarter more work.
 */
function reduceInBlocks(matrix: RealArray, rows: number, columns: number, scale: number, r: Float64Array): void {
  const [m, n] = [Math.max(rows, columns), Math.min(rows, columns)];
  const [stepLong, stepShort] = rows >= columns ? [columns, 1] : [1, columns];
  const block = Math.max(4 * n, 1024);
  const long = new Float64Array(n * (n + Math.min(block, m)));
  const coefficients = new Float64Array(n);
  for (let start = 0; start < m; start += block) {
    const taken = Math.min(block, m - start);
    const height = n + taken;
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < n; i++) long[j * height + i] = r[i * n + j];
      let from = start * stepLong + j * stepShort;
      for (let to = j * height + n; to < (j + 1) * height; to++, from += stepLong) long[to] = scale * matrix[from];
    }
    factorColumns(long, height, n, coefficients, r);
  }
}

/**
 * `out = a · b` for a narrow block and a small square matrix, of which the first `take` columns are computed.
 *
 * @param a - `[rows, inner]`.
 * @param b - `[inner, inner]`.
 * @param out - Receives `[rows, take]`; not `a`.
 */
export function multiplySmall(
  a: Float64Array,
  rows: number,
  inner: number,
  b: Float64Array,
  take: number,
  out: RealArray,
): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < take; j++) {
      let sum = 0;
      for (let p = 0; p < inner; p++) sum += a[i * inner + p] * b[p * inner + j];
      out[i * take + j] = sum;
    }
  }
}
