import { Dense, inner } from './dense.js';

/** What a network of layers in a row computes of one example: outputs are `W_L D_{L−1} W_{L−1} … D_1 W_1 x`, biases aside. */
export interface Chain {
  /** W_1 … W_L, `[out, in]`. */
  readonly weights: readonly Dense[];
  /** The diagonals D of the hidden layers: `φ'(z)`. */
  readonly slopes: readonly Float64Array[];
  /** What each layer but the last multiplies its parameters with: its input, or of a convolution the window at each place. */
  readonly windows: readonly (readonly Float64Array[])[];
}

/** What the bounds that the paper prints give for one example, block i and weight j > i. */
export interface PrintedBound {
  /** Block, from 1. */
  readonly block: number;
  /** Weight, from 1. */
  readonly weight: number;
  /** σ_max of the Gauss-Newton part of the block of the example's own loss; for ReLU that is the block. */
  readonly left: number;
  /** σ_max(W_j) times the σ_min of all other factors, each over the space that it acts on: 0 where a unit is inactive. */
  readonly right: number;
  /** The same with the least of the min(rows, columns) singular values, in which form Lemma A.1 is false. */
  readonly thin: number;
  /** Remark A.3, for k = 1, 2, …, in the reading that says most: of roots of the block's singular values. */
  readonly sums: readonly {
    /** `Σ_{t ≤ k} √σ_t(block)`. */
    readonly left: number;
    /** `Σ_{t ≤ k} σ_t(W_j) σ_{n − t + 1}` of the factor beside W_j, times the σ_min of the others. */
    readonly right: number;
  }[];
}

/** `∂ŷ/∂z` of a layer's values before its activation: W_L D … W_{layer + 1} D. */
export function jacobianAt({ weights, slopes }: Pick<Chain, 'weights' | 'slopes'>, layer: number): Dense {
  let jacobian = Dense.identity(weights[weights.length - 1].rows);
  for (let above = weights.length - 1; above > layer; above--) {
    jacobian = jacobian.times(weights[above]).columnsTimes(slopes[above - 1]);
  }
  return jacobian;
}

/** Singular values; what rounding leaves of those that are 0 is 0. */
function singularValuesOf(matrix: Dense): Float64Array {
  const sigma = matrix.singularValues();
  return sigma.map((value) => (value > 1e-13 * sigma[0] ? value : 0));
}

/** The least singular value over a space of so many dimensions: 0 where the matrix has fewer. */
function least(matrix: Dense, space: number): number {
  const sigma = singularValuesOf(matrix);
  return sigma.length < space ? 0 : sigma[sigma.length - 1];
}

/** `J U`, U the derivatives of a layer's values by its parameters: of row (k, p) the window at place p. */
function byParameters(jacobian: Dense, windows: readonly Float64Array[]): Dense {
  const [places, width] = [windows.length, windows[0].length];
  const units = jacobian.columns / places;
  const found = Dense.zeros(jacobian.rows, units * width);
  for (let output = 0; output < jacobian.rows; output++) {
    const row = found.row(output);
    for (let unit = 0; unit < units; unit++) {
      windows.forEach((window, place) => {
        const slope = jacobian.at(output, unit * places + place);
        for (let i = 0; i < width; i++) row[unit * width + i] += slope * window[i];
      });
    }
  }
  return found;
}

/** σ_min(U)², over the layer's values: of a dense layer the squared length of its input. */
function leastOfWindows(windows: readonly Float64Array[]): number {
  const n = windows.length;
  const products = windows.flatMap((a) => windows.map((b) => inner(a, b)));
  return Math.max(0, new Dense(n, n, Float64Array.from(products)).eigenvalues()[0]);
}

/**
 * The bound of Theorem 2.1 as its proof has it, for one example and each block i with a weight j above it: with `J = P W_j Q`,
 * `σ_max(Uᵀ JᵀJ U) ≥ σ_max(W_j) · σ_min(P) σ_min(Q) σ_min(J) · σ_min(U)²`, where U is `I ⊗ aᵀ` of a dense layer. And Remark A.3: with n
 * the width between the two, `Σ_{t ≤ k} σ_t(W_j Q) ≥ Σ_{t ≤ k} σ_t(W_j) σ_{n − t + 1}(Q)`, then `σ_t(P W_j Q) ≥ σ_min(P) σ_t(W_j Q)`,
 * or the same from the other side, whichever is more. It is taken of J, whose singular values are the roots of those of JᵀJ: in
 * JᵀJ there is always a factor that is 0 as soon as one unit is inactive, whatever k is.
 *
 * @param scale - What the sum of squares is multiplied by in the second derivative, 2 / outputs.
 */
export function printedBounds(chain: Chain, scale: number): PrintedBound[] {
  const { weights, slopes, windows } = chain;
  const found: PrintedBound[] = [];
  for (let block = 0; block < weights.length - 1; block++) {
    const jacobian = jacobianAt(chain, block);
    const roots = byParameters(jacobian, windows[block]).singularValues();
    const input = leastOfWindows(windows[block]);
    for (let j = block + 1; j < weights.length; j++) {
      const above = jacobianAt(chain, j); // P
      let below = Dense.identity(weights[block].rows).rowsTimes(slopes[block]); // Q
      for (let layer = block + 1; layer < j; layer++) {
        below = weights[layer].times(below).rowsTimes(slopes[layer]);
      }
      const sigmas = weights[j].singularValues();
      const thin = (matrix: Dense) => singularValuesOf(matrix).at(-1) ?? 0;
      const beside = (other: Dense, width: number, rest: number) => {
        const own = singularValuesOf(other);
        return (t: number) => rest * (sigmas[t] ?? 0) * (own[width - 1 - t] ?? 0);
      };
      const terms = [
        beside(below, weights[j].columns, least(above, above.columns)),
        beside(above, weights[j].rows, least(below, below.rows)),
      ];
      const totals = [0, 0];
      let left = 0;
      const sums = Array.from({ length: Math.min(jacobian.rows, jacobian.columns) }, (_, t) => {
        left += roots[t];
        terms.forEach((term, side) => {
          totals[side] += term(t);
        });
        return { left: Math.sqrt(scale) * left, right: Math.sqrt(scale * input) * Math.max(...totals) };
      });
      const length = scale * input * sigmas[0];
      found.push({
        block: block + 1,
        weight: j + 1,
        left: scale * roots[0] ** 2,
        right: length * least(above, above.columns) * least(below, below.rows) * least(jacobian, jacobian.columns),
        thin: length * thin(above) * thin(below) * thin(jacobian),
        sums,
      });
    }
  }
  return found;
}
