import {
  addRankK,
  cholesky,
  lowerInverse,
  multiplyRight,
  solveTransposed,
  symmetricEigen,
} from '../../linalg/index.js';

/** How much each direction of one side of a matrix counts: a second moment, `[n, n]`, or its diagonal alone, `[n]`. */
export interface Metric {
  readonly n: number;
  readonly values: Float64Array;
}

/** What {@link weightedParts} found. */
export interface WeightedParts {
  /** Squares of the singular values of `R^½·W·S^½`, descending: what each part is worth. */
  readonly energies: Float64Array;
  /** W with its best r parts alone, `[rows, columns]`. */
  keep(rank: number): Float32Array;
}

/**
 * The parts of a matrix in the order of what they are worth: with R and S, the second moments of the gradients at its outputs and of
 * its inputs, the singular value decomposition of `M = R^½·W·S^½`, so that `keep(r) = R^-½·M_r·S^-½` is the matrix of rank r that
 * changes the output least, as far as gradients and inputs are independent.
 *
 * Roots by Cholesky give the same parts as symmetric ones, and only that of the smaller side is needed: with `G = L·Lᵀ` its metric and
 * T that of the other side, M's squares are the eigenvalues of `Lᵀ·(W·T·Wᵀ)·L`. Squares are enough here: the metrics are
 * squares themselves, and the parts that are kept are those far above rounding.
 *
 * @param matrix - `[rows, columns]`.
 * @param ridge - Added to both metrics' diagonals, as a share of its mean, so that unseen directions count a little.
 */
export function weightedParts(matrix: Float32Array, left: Metric, right: Metric, ridge: number): WeightedParts {
  const [rows, columns] = [left.n, right.n];
  const isWide = rows <= columns;
  // As a wide matrix: [n, m], n the smaller side.
  const wide = isWide ? Float64Array.from(matrix) : transposed(matrix, rows, columns);
  const [own, other] = isWide ? [left, right] : [right, left];
  const [n, m] = [own.n, other.n];
  const l = cholesky(full(regular(own, ridge)), n);
  const seen = times(wide, n, regular(other, ridge)); // W·T, [n, m]
  const inner = new Float64Array(n * n);
  multiplyRight(seen, n, m, transposed(wide, n, m), n, inner); // W·T·Wᵀ
  const half = new Float64Array(n * n);
  multiplyRight(inner, n, n, l, n, half);
  const gram = new Float64Array(n * n);
  multiplyRight(transposed(l, n, n), n, n, half, n, gram);
  const { values, vectors } = symmetricEigen(gram, n, { vectors: true });
  return {
    energies: values.map((value) => Math.max(value, 0)).reverse(),
    keep: (rank) => {
      // W_r = L^-ᵀ·U_r · (L·U_r)ᵀ·W
      const [back, there] = [new Float32Array(n * rank), new Float64Array(n * rank)];
      for (let j = 0; j < rank; j++) {
        const u = vectors.slice((n - 1 - j) * n, (n - j) * n);
        for (let i = 0; i < n; i++) {
          let sum = 0;
          for (let k = 0; k <= i; k++) sum += l[i * n + k] * u[k];
          there[i * rank + j] = sum;
        }
        solveTransposed(l, n, u);
        for (let i = 0; i < n; i++) back[i * rank + j] = u[i];
      }
      const parts = new Float64Array(m * rank);
      multiplyRight(transposed(wide, n, m), m, n, there, rank, parts); // Wᵀ·L·U_r, [m, rank]
      const kept = new Float32Array(rows * columns);
      const read = Float32Array.from(parts);
      if (isWide) addRankK(kept, back, read, rows, columns, rank, 1);
      else addRankK(kept, read, back, rows, columns, rank, 1);
      return kept;
    },
  };
}

/**
 * A matrix without what others need of it and its owner does not: the W' that makes `‖R^½·(W − W')·S^½‖² + weight·‖P^½·W'·Q^½‖²` least, R and S
 * the owner's second moments of the gradients at its outputs and of its inputs, P and Q the others'.
 *
 * In the bases in which R and P, and S and Q, are both diagonal (the former 1, the latter dᵢ and eⱼ) each number of W is divided by
 * `1 + weight·dᵢ·eⱼ`: what only the owner uses stays as it is, what only others use goes. Takes some `10 n³` operations for each side.
 *
 * @param matrix - `[rows, columns]`.
 * @param own - R and S; they get the ridge, as in {@link weightedParts}.
 * @param others - P and Q; where one is 0, nothing is taken.
 */
export function withoutNeeds(
  matrix: Float32Array,
  [left, right]: readonly [Metric, Metric],
  others: readonly [Metric, Metric],
  { ridge, weight }: { ridge: number; weight: number },
): Float32Array {
  const [rows, columns] = [left.n, right.n];
  const [one, other] = [commonBasis(left, others[0], ridge), commonBasis(right, others[1], ridge)];
  // B₁ᵀ·W·B₂ and back by the inverses: W is turned as [columns, rows] in between.
  const halfway = one.into(transposed(matrix, rows, columns), columns);
  const inside = other.into(transposed(halfway, columns, rows), rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) inside[i * columns + j] /= 1 + weight * one.needs[i] * other.needs[j];
  }
  const back = other.outOf(inside, rows);
  return Float32Array.from(transposed(one.outOf(transposed(back, rows, columns), columns), columns, rows));
}

/** A basis in which one metric is the identity and another one diagonal. */
interface CommonBasis {
  /** The other metric's diagonal. */
  readonly needs: Float64Array;
  /** `[count, n]` times the basis: coordinates in which the first metric is the identity. */
  into(vectors: Float64Array, count: number): Float64Array;
  /** The way back. */
  outOf(vectors: Float64Array, count: number): Float64Array;
}

/** @param own - Gets the ridge; `other` does not. */
function commonBasis(own: Metric, other: Metric, ridge: number): CommonBasis {
  const { n } = own;
  const first = regular(own, ridge);
  if (isDiagonal(own) && isDiagonal(other)) {
    const root = first.values.map(Math.sqrt);
    return {
      needs: other.values.map((value, i) => value / first.values[i]),
      into: (vectors) => vectors.map((value, at) => value * root[at % n]),
      outOf: (vectors) => vectors.map((value, at) => value / root[at % n]),
    };
  }
  // With R = L·Lᵀ: L⁻¹·P·L⁻ᵀ = U·D·Uᵀ.
  const l = cholesky(full(first), n);
  const inverse = lowerInverse(l, n);
  const half = new Float64Array(n * n);
  multiplyRight(full(other), n, n, transposed(inverse, n, n), n, half);
  const relative = new Float64Array(n * n);
  multiplyRight(inverse, n, n, half, n, relative);
  // Its rows are the directions: [n, n], Uᵀ.
  const { values, vectors: turned } = symmetricEigen(relative, n, { vectors: true });
  const [there, back] = [new Float64Array(n * n), new Float64Array(n * n)];
  multiplyRight(l, n, n, transposed(turned, n, n), n, there); // L·U
  multiplyRight(turned, n, n, inverse, n, back); // Uᵀ·L⁻¹
  const by = (basis: Float64Array) => (vectors: Float64Array, count: number) => {
    const product = new Float64Array(count * n);
    multiplyRight(vectors, count, n, basis, n, product);
    return product;
  };
  return { needs: values.map((value) => Math.max(value, 0)), into: by(there), outOf: by(back) };
}

/** The least rank that keeps a share of all energy. */
export function rankOfEnergy(energies: Float64Array, share: number): number {
  const total = energies.reduce((sum, energy) => sum + energy, 0);
  let [rank, kept] = [0, 0];
  while (rank < energies.length && (rank === 0 || kept < share * total)) kept += energies[rank++];
  return rank;
}

const isDiagonal = ({ n, values }: Metric) => values.length === n && n > 1;

/** The metric with a share of its mean on the diagonal; of one that is 0 everywhere, the identity. */
function regular(metric: Metric, ridge: number): Metric {
  const { n } = metric;
  const step = isDiagonal(metric) ? 1 : n + 1;
  const values = metric.values.slice();
  let trace = 0;
  for (let i = 0; i < n; i++) trace += values[i * step];
  const added = trace > 0 ? (ridge * trace) / n : 1;
  for (let i = 0; i < n; i++) values[i * step] += added;
  return { n, values };
}

function full(metric: Metric): Float64Array {
  if (!isDiagonal(metric)) return metric.values;
  const { n, values } = metric;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) matrix[i * (n + 1)] = values[i];
  return matrix;
}

/** A matrix `[rows, n]` times a metric. */
function times(matrix: Float64Array, rows: number, metric: Metric): Float64Array {
  const { n, values } = metric;
  if (isDiagonal(metric)) return matrix.map((value, at) => value * values[at % n]);
  const product = new Float64Array(rows * n);
  multiplyRight(matrix, rows, n, values, n, product);
  return product;
}

function transposed(matrix: Float32Array | Float64Array, rows: number, columns: number): Float64Array {
  const turned = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = matrix[i * columns + j];
  return turned;
}
