import type { FlopTally } from '../../engine/index.js';
import { multiplyRight, symmetricEigen } from '../../linalg/index.js';
import { addFlops } from './closed-forms.js';

/**
 * Ridge regression of centred vectors on centred vectors, `(XᵀX + λ)⁻¹XᵀY`, by the eigenvectors of XᵀX, so that all ridges share them. A ridge is
 * a factor of their mean eigenvalue. Floating-point operations are counted.
 */
export class RidgeRegression {
  /** Mean of what it was fitted to, `[columns]`. */
  readonly mean: Float64Array;
  readonly #center: Float64Array;
  readonly #eigenvalues: Float64Array;
  /** Eigenvectors in columns, `[width, width]`. */
  readonly #basis: Float64Array;
  /** XᵀY in that basis, `[width, columns]`. */
  readonly #crossed: Float64Array;

  /**
   * @param x - `[rows, width]`.
   * @param y - `[rows, columns]`.
   */
  constructor(
    x: Float64Array,
    y: Float64Array,
    rows: number,
    readonly tally: FlopTally,
  ) {
    const [width, columns] = [x.length / rows, y.length / rows];
    this.#center = meanOf(x, rows);
    this.mean = meanOf(y, rows);
    const a = centred(x, this.#center);
    const turned = transposed(a, rows, width);
    const [moment, crossed] = [new Float64Array(width * width), new Float64Array(width * columns)];
    multiplyRight(turned, width, rows, a, width, moment);
    multiplyRight(turned, width, rows, centred(y, this.mean), columns, crossed);
    const { values, vectors } = symmetricEigen(moment, width, { vectors: true });
    this.#eigenvalues = Float64Array.from(values, (value) => Math.max(value, 0));
    this.#basis = transposed(vectors, width, width);
    this.#crossed = new Float64Array(width * columns);
    multiplyRight(vectors, width, width, crossed, columns, this.#crossed);
    // Of the decomposition three times 4/3·n³.
    addFlops(tally, 2 * rows * width * (width + columns) + 4 * width ** 3 + 2 * width * width * columns);
  }

  /** What it says of other vectors, `[rows, width]`: `[rows, columns]`. */
  predict(x: Float64Array, ridge: number): Float64Array {
    const [width, columns] = [this.#center.length, this.mean.length];
    const least = (ridge * this.#eigenvalues.reduce((sum, value) => sum + value, 0)) / width;
    const scaled = this.#crossed.map((value, at) => value / (this.#eigenvalues[Math.floor(at / columns)] + least));
    const weights = new Float64Array(width * columns);
    multiplyRight(this.#basis, width, width, scaled, columns, weights);
    const rows = x.length / width;
    const said = new Float64Array(rows * columns);
    multiplyRight(centred(x, this.#center), rows, width, weights, columns, said);
    addFlops(this.tally, 2 * width * columns * (width + rows));
    return said.map((value, at) => value + this.mean[at % columns]);
  }
}

/** Mean of rows, `[columns]`. */
export function meanOf(x: Float64Array, rows: number): Float64Array {
  const mean = new Float64Array(x.length / rows);
  for (let at = 0; at < x.length; at++) mean[at % mean.length] += x[at] / rows;
  return mean;
}

/** Rows less their mean. */
export function centred(x: Float64Array, mean: Float64Array): Float64Array {
  return x.map((value, at) => value - mean[at % mean.length]);
}

function transposed(x: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]);
}
