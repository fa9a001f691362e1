import { InputError } from '../registry/index.js';
import { powerOfTwoScale, type RealArray, requireFiniteMatrix } from './matrix.js';

/** Eigenvalues and, on demand, eigenvectors of a symmetric matrix. */
export interface SymmetricEigen {
  /** Ascending, `[n]`. */
  readonly values: Float64Array;
  /** Vector j in row j, orthonormal, `[n, n]`; empty where none were asked for. */
  readonly vectors: Float64Array;
}

/** Eigenvalues of a symmetric tridiagonal matrix, and the first element of each eigenvector. */
export interface TridiagonalEigen {
  /** Ascending, `[n]`. */
  readonly values: Float64Array;
  /** First elements of the normalized eigenvectors, `[n]`: their squares are the weights of Gauss's quadrature. */
  readonly first: Float64Array;
  /** Last elements, `[n]`: times the next off-diagonal element, the residuals of Lanczos' method. */
  readonly last: Float64Array;
}

/** QL steps an eigenvalue takes at most; it takes two on average. */
const stepLimit = 60;
/**
 * Steps after which an off-diagonal element counts as 0 below the rounding of the largest elements, not only of its
 * neighbours: where the rank is low, most of the matrix is that rounding, and its parts may never settle.
 */
const patience = 10;

/**
 * All eigenvalues of a symmetric matrix in double precision, error at most about 1e-14 of the largest in size: Householder
 * tridiagonalization and implicit QL. Takes 4/3 n³ operations, with vectors three times as many.
 *
 * @param matrix - `[n, n]`; the lower triangle is read.
 * @throws InputError when a value is not finite or the size does not fit.
 * @see Golub and Van Loan, "Matrix Computations", section 8.3.
 */
export function symmetricEigen(
  matrix: RealArray,
  n: number,
  { vectors: wanted = false }: { vectors?: boolean } = {},
): SymmetricEigen {
  requireFiniteMatrix(matrix, n, n, 'eigenvalues');
  const scale = powerOfTwoScale(matrix);
  const a = Float64Array.from(matrix, (value) => value * scale);
  const [diagonal, off] = [new Float64Array(n), new Float64Array(n)];
  const factors = tridiagonalize(a, n, diagonal, off);
  const rows = wanted ? n : 0;
  const vectors = new Float64Array(n * rows);
  if (wanted) accumulate(a, n, factors, vectors);
  implicitQl(diagonal, off, vectors, rows);
  const order = ascending(diagonal);
  const sorted = new Float64Array(n * rows);
  order.forEach((from, to) => {
    sorted.set(vectors.subarray(from * rows, (from + 1) * rows), to * rows);
  });
  return { values: Float64Array.from(order, (index) => diagonal[index] / scale), vectors: sorted };
}

/**
 * Eigenvalues of a symmetric tridiagonal matrix.
 *
 * @param diagonal - `[n]`.
 * @param off - `[n − 1]` or longer.
 */
export function tridiagonalEigen(diagonal: ArrayLike<number>, off: ArrayLike<number>): TridiagonalEigen {
  const n = diagonal.length;
  if (off.length < n - 1) throw new InputError(`tridiagonal: expected ${n - 1} off-diagonal values, got ${off.length}`);
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(n);
  for (let i = 0; i < n - 1; i++) e[i] = off[i];
  // Two rows of the matrix of eigenvectors: e₁ and eₙ, turned along. One row where both are the same.
  const z = new Float64Array(2 * n);
  z[0] = 1;
  z[2 * n - 1] = 1;
  implicitQl(d, e, z, 2);
  const order = ascending(d);
  return {
    values: Float64Array.from(order, (index) => d[index]),
    first: Float64Array.from(order, (index) => z[2 * index]),
    last: Float64Array.from(order, (index) => z[2 * index + 1]),
  };
}

function ascending(values: Float64Array): Uint32Array {
  return Uint32Array.from(values, (_, index) => index).sort((i, j) => values[i] - values[j]);
}

/**
 * Brings the lower triangle of `a` to tridiagonal form by reflections from both sides.
 *
 * @returns Factor of each reflection `1 − factor · v vᵀ`; its v stays in row k of `a`, right of the diagonal.
 */
function tridiagonalize(a: Float64Array, n: number, diagonal: Float64Array, off: Float64Array): Float64Array {
  const factors = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    diagonal[k] = a[k * n + k];
    // Along the row, where its elements are neighbours.
    const v = a.subarray(k * n, (k + 1) * n);
    let norm = 0;
    for (let i = k + 1; i < n; i++) {
      v[i] = a[i * n + k];
      norm = Math.hypot(norm, v[i]);
    }
    const head = v[k + 1];
    const alpha = head > 0 ? -norm : norm;
    off[k] = alpha;
    if (norm === 0) continue;
    v[k + 1] = head - alpha;
    // |v|² / 2 = norm · (norm + |head|)
    const factor = 1 / (norm * (norm + Math.abs(head)));
    factors[k] = factor;
    p.fill(0);
    for (let i = k + 1; i < n; i++) {
      const vi = v[i];
      let sum = a[i * n + i] * vi;
      for (let j = k + 1, at = i * n + j; j < i; j++, at++) {
        sum += a[at] * v[j];
        p[j] += a[at] * vi;
      }
      p[i] += sum;
    }
    let inner = 0;
    for (let i = k + 1; i < n; i++) inner += p[i] * v[i];
    const half = (factor * factor * inner) / 2;
    for (let i = k + 1; i < n; i++) p[i] = factor * p[i] - half * v[i];
    for (let i = k + 1; i < n; i++) {
      const [vi, wi] = [v[i], p[i]];
      for (let j = k + 1, at = i * n + j; j <= i; j++, at++) a[at] -= vi * p[j] + wi * v[j];
    }
  }
  if (n > 0) diagonal[n - 1] = a[n * n - 1];
  return factors;
}

/** The product of the reflections, its columns as rows of `q`. */
function accumulate(a: Float64Array, n: number, factors: Float64Array, q: Float64Array): void {
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let k = n - 2; k >= 0; k--) {
    if (factors[k] === 0) continue;
    const v = a.subarray(k * n, (k + 1) * n);
    for (let column = k + 1; column < n; column++) {
      let sum = 0;
      for (let i = k + 1, at = column * n + i; i < n; i++, at++) sum += v[i] * q[at];
      sum *= factors[k];
      for (let i = k + 1, at = column * n + i; i < n; i++, at++) q[at] -= sum * v[i];
    }
  }
}

/** Makes a tridiagonal matrix diagonal; the rows of `z`, of `width` elements, are turned along. */
function implicitQl(d: Float64Array, e: Float64Array, z: Float64Array, width: number): void {
  const n = d.length;
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(d[i]), Math.abs(e[i]));
  for (let low = 0; low < n; low++) {
    for (let step = 0; ; step++) {
      let high = low;
      const least = step < patience ? 0 : largest;
      const size = (i: number) => Math.max(least, Math.abs(d[i]) + Math.abs(d[i + 1]));
      while (high < n - 1 && Math.abs(e[high]) > Number.EPSILON * size(high)) high++;
      if (high === low) break;
      if (step === stepLimit)
        throw new InputError(`eigenvalues: expected convergence in ${stepLimit} steps, found none`);
      sweep(d, e, z, { low, high, width });
    }
  }
}

/** One QL step with Wilkinson's shift on the unreduced part from `low` to `high`. */
function sweep(
  d: Float64Array,
  e: Float64Array,
  z: Float64Array,
  { low, high, width }: { low: number; high: number; width: number },
): void {
  const ratio = (d[low + 1] - d[low]) / (2 * e[low]);
  const root = Math.hypot(ratio, 1);
  let g = d[high] - d[low] + e[low] / (ratio + (ratio >= 0 ? root : -root));
  let [sine, cosine, p] = [1, 1, 0];
  for (let i = high - 1; i >= low; i--) {
    const f = sine * e[i];
    const b = cosine * e[i];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p;
      e[high] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    const shifted = d[i + 1] - p;
    const t = (d[i] - shifted) * sine + 2 * cosine * b;
    p = sine * t;
    d[i + 1] = shifted + p;
    g = cosine * t - b;
    for (let k = 0, at = i * width, next = at + width; k < width; k++, at++, next++) {
      const after = z[next];
      z[next] = sine * z[at] + cosine * after;
      z[at] = cosine * z[at] - sine * after;
    }
  }
  d[low] -= p;
  e[low] = g;
  e[high] = 0;
}
