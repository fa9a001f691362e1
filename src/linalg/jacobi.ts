import { multiplyRight } from './products.js';
import { dot, thinQr } from './qr.js';

const MAX_SWEEPS = 60;
/** Rows shorter than this have squares near underflow and give no unit vector; with σ1 near 1 they are zeros. */
const NEGLIGIBLE = 1e-140;

/**
 * SVD of a small square matrix by one-sided Jacobi rotations of its rows: `a = Σ σ_i · left_i · right_iᵀ`.
 * The left and right vectors are orthonormal to rounding even where σ is 0.
 * Source: Hestenes, SIAM J. 6 (1958); Demmel and Veselić, SIAM J. Matrix Anal. 13 (1992) for its accuracy.
 */
export class JacobiSvd {
  readonly #size: number;
  readonly #rows: Float64Array;
  readonly #rotations: Float64Array;
  readonly #order: number[];
  readonly #norms: Float64Array;
  readonly #triangle: Float64Array;

  /** @param size - n of the `n × n` matrices to come; the scratch is allocated here once. */
  constructor(size: number) {
    this.#size = size;
    this.#rows = new Float64Array(size * size);
    this.#rotations = new Float64Array(size * size);
    this.#order = Array.from({ length: size }, (_, i) => i);
    this.#norms = new Float64Array(size);
    this.#triangle = new Float64Array(size * size);
  }

  /**
   * @param a - `[n, n]`, entries near 1 or below (scale by a power of two first).
   * @param sigma - Receives n singular values, descending.
   * @param left - Receives the left vectors as columns `[n, n]`.
   * @param right - Receives the right vectors as columns `[n, n]`.
   * @param near - Rows `[n, n]`, orthonormal to rounding, that nearly are the left vectors, in any order: then few rotations are
   *   left to do. Default none are known.
   */
  decompose(a: Float64Array, sigma: Float64Array, left: Float64Array, right: Float64Array, near?: Float64Array): void {
    const n = this.#size;
    if (near) {
      this.#rotations.set(near);
      multiplyRight(near, n, n, a, n, this.#rows);
    } else {
      this.#rotations.fill(0);
      for (let i = 0; i < n; i++) this.#rotations[i * n + i] = 1;
      this.#rows.set(a);
    }
    this.#diagonalize(sigma, this.#rotations);
    // Rotations J·a = rows with orthogonal rows; so a = Jᵀ·rows, and row i of J is left vector i.
    let rank = 0;
    for (let j = 0; j < n; j++) {
      const from = this.#order[j] * n;
      if (sigma[j] > NEGLIGIBLE) rank++;
      const inverse = sigma[j] > NEGLIGIBLE ? 1 / sigma[j] : 0;
      for (let i = 0; i < n; i++) {
        left[i * n + j] = this.#rotations[from + i];
        right[i * n + j] = this.#rows[from + i] * inverse;
      }
    }
    if (rank < n) completeBasis(right, n, rank, this.#triangle);
  }

  /** The singular values alone, descending, of `[n, n]`. */
  values(a: Float64Array, sigma: Float64Array): void {
    this.#rows.set(a);
    this.#diagonalize(sigma, undefined);
  }

  #diagonalize(sigma: Float64Array, rotations: Float64Array | undefined): void {
    const n = this.#size;
    for (let sweep = 0; sweep < MAX_SWEEPS && rotateAllPairs(this.#rows, n, rotations); sweep++);
    const norms = this.#norms;
    for (let i = 0; i < n; i++) {
      norms[i] = Math.sqrt(dot(this.#rows, i * n, this.#rows, i * n, n));
      this.#order[i] = i;
    }
    this.#order.sort((i, j) => norms[j] - norms[i] || i - j);
    for (let j = 0; j < n; j++) sigma[j] = norms[this.#order[j]];
  }
}

/** One sweep over all pairs of rows; false when no pair needed a rotation. */
function rotateAllPairs(rows: Float64Array, n: number, rotations: Float64Array | undefined): boolean {
  // Rows whose cosine is below a few rounding errors of a length-n dot product are as orthogonal as they get.
  const tolerance = Math.max(n, 8) * 2 ** -53;
  let rotated = false;
  for (let p = 0; p < n - 1; p++) {
    for (let q = p + 1; q < n; q++) {
      const pp = dot(rows, p * n, rows, p * n, n);
      const qq = dot(rows, q * n, rows, q * n, n);
      const pq = dot(rows, p * n, rows, q * n, n);
      if (pq === 0 || Math.abs(pq) <= tolerance * Math.sqrt(pp) * Math.sqrt(qq)) continue;
      rotated = true;
      const zeta = (qq - pp) / (2 * pq);
      // Beyond 1e8 the root is |zeta| to rounding, and the square of a huge zeta would overflow.
      const size = Math.abs(zeta);
      const tangent = (zeta >= 0 ? 1 : -1) / (size + (size > 1e8 ? size : Math.sqrt(1 + zeta * zeta)));
      const cosine = 1 / Math.sqrt(1 + tangent * tangent);
      rotate(rows, p * n, q * n, n, cosine, cosine * tangent);
      if (rotations) rotate(rotations, p * n, q * n, n, cosine, cosine * tangent);
    }
  }
  return rotated;
}

function rotate(m: Float64Array, p: number, q: number, n: number, cosine: number, sine: number): void {
  for (let i = 0; i < n; i++) {
    const x = m[p + i];
    const y = m[q + i];
    m[p + i] = cosine * x - sine * y;
    m[q + i] = sine * x + cosine * y;
  }
}

/** Replaces the columns of `[n, n]` from `rank` on by an orthonormal complement of those before. */
function completeBasis(columns: Float64Array, n: number, rank: number, triangle: Float64Array): void {
  thinQr(columns, n, n, columns, triangle);
  for (let j = 0; j < rank; j++) {
    // QR returns each orthonormal column up to its sign.
    if (triangle[j * n + j] < 0) for (let i = 0; i < n; i++) columns[i * n + j] = -columns[i * n + j];
  }
}
