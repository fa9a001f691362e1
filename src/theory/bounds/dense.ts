import { svd, symmetricEigen } from '../../linalg/index.js';

/** A small matrix, row-major. */
export class Dense {
  constructor(
    /** Rows. */
    readonly rows: number,
    /** Columns. */
    readonly columns: number,
    /** `[rows, columns]`. */
    readonly data: Float64Array,
  ) {}

  /** A matrix of so many zeros. */
  static zeros(rows: number, columns: number): Dense {
    return new Dense(rows, columns, new Float64Array(rows * columns));
  }

  /** The identity. */
  static identity(n: number): Dense {
    const eye = Dense.zeros(n, n);
    for (let i = 0; i < n; i++) eye.data[i * n + i] = 1;
    return eye;
  }

  /** An element. */
  at(row: number, column: number): number {
    return this.data[row * this.columns + column];
  }

  /** A row, in the matrix' memory. */
  row(index: number): Float64Array {
    return this.data.subarray(index * this.columns, (index + 1) * this.columns);
  }

  /** The matrix product with another. */
  times(other: Dense): Dense {
    const product = Dense.zeros(this.rows, other.columns);
    for (let i = 0; i < this.rows; i++) {
      for (let k = 0; k < this.columns; k++) {
        const factor = this.at(i, k);
        for (let j = 0; j < other.columns; j++) product.data[i * other.columns + j] += factor * other.at(k, j);
      }
    }
    return product;
  }

  /** The product with a vector, `[rows]`. */
  apply(vector: ArrayLike<number>): Float64Array {
    return Float64Array.from({ length: this.rows }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < this.columns; j++) sum += this.at(i, j) * vector[j];
      return sum;
    });
  }

  /** The transpose. */
  transposed(): Dense {
    const other = Dense.zeros(this.columns, this.rows);
    for (let i = 0; i < this.rows; i++) {
      for (let j = 0; j < this.columns; j++) other.data[j * this.rows + i] = this.at(i, j);
    }
    return other;
  }

  /** `diag(factors) · this`: one factor a row. */
  rowsTimes(factors: ArrayLike<number>): Dense {
    return new Dense(
      this.rows,
      this.columns,
      this.data.map((value, index) => value * factors[Math.floor(index / this.columns)]),
    );
  }

  /** `this · diag(factors)`: one factor a column. */
  columnsTimes(factors: ArrayLike<number>): Dense {
    return new Dense(
      this.rows,
      this.columns,
      this.data.map((value, index) => value * factors[index % this.columns]),
    );
  }

  /** The sum with a multiple of another. */
  plus(other: Dense, factor = 1): Dense {
    return new Dense(
      this.rows,
      this.columns,
      this.data.map((value, index) => value + factor * other.data[index]),
    );
  }

  /** Singular values, descending, min(rows, columns) of them. */
  singularValues(): Float64Array {
    return svd(this.data, this.rows, this.columns).sigma;
  }

  /** The largest singular value with its unit vectors, `W v = σ u`. */
  top(): { sigma: number; u: Float64Array; v: Float64Array } {
    const { sigma, u, v } = svd(this.data, this.rows, this.columns);
    const rank = sigma.length;
    const first = (vectors: Float64Array, length: number) => Float64Array.from({ length }, (_, i) => vectors[i * rank]);
    return { sigma: sigma[0], u: first(u, this.rows), v: first(v, this.columns) };
  }

  /** Eigenvalues of a symmetric matrix, ascending. */
  eigenvalues(): Float64Array {
    return symmetricEigen(this.data, this.rows).values;
  }
}

/** `Σ weight · x xᵀ` of vectors of one length. */
export class Gram {
  readonly sum: Dense;
  /** `Σ weight · x` and `Σ weight`. */
  readonly #mean: Float64Array;
  #total = 0;

  constructor(size: number) {
    this.sum = Dense.zeros(size, size);
    this.#mean = new Float64Array(size);
  }

  /** Adds a vector. */
  add(x: ArrayLike<number>, weight: number): void {
    const { data, columns: n } = this.sum;
    if (weight === 0) return;
    this.#total += weight;
    for (let i = 0; i < n; i++) {
      const factor = weight * x[i];
      this.#mean[i] += factor;
      for (let j = 0; j < n; j++) data[i * n + j] += factor * x[j];
    }
  }

  /** Least eigenvalue; rounding does not make it negative. */
  least(): number {
    return Math.max(0, this.sum.eigenvalues()[0]);
  }

  /** The same of the vectors less their weighted mean: no `Σ weight (v·x + b)²` of a unit v is less, whatever b is. */
  leastCentred(): number {
    if (this.#total === 0) return 0;
    const n = this.sum.rows;
    const [sum, mean, total] = [this.sum.data, this.#mean, this.#total];
    const centred = sum.map((value, index) => value - (mean[Math.floor(index / n)] * mean[index % n]) / total);
    return Math.max(0, new Dense(n, n, centred).eigenvalues()[0]);
  }

  /** Largest eigenvalue. */
  largest(): number {
    return this.sum.eigenvalues()[this.sum.rows - 1];
  }
}

/** Squared length. */
export function squared(vector: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i];
  return sum;
}

/** `⟨a, b⟩`. */
export function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
