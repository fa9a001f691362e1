import { symmetricEigen } from '../../linalg/index.js';

/** A regularizer of the condition number of features, and its gradient by the features. */
export interface ConditionTerm {
  /** Its value; infinite where it has none: of the ill-conditioned one where all singular values are equal. */
  readonly value: number;
  /** The ratio of the largest singular value of FᵀF to the smallest that is not 0. */
  readonly condition: number;
  /** `[examples, width]`; zeros where the value is infinite. */
  readonly slope: Float64Array;
}

/** Singular values of S = FᵀF below this share of the largest are the rounding of float32 features. */
const RANK_TOLERANCE = 1e-12;

/**
 * `R_well(S) = ½σ₁² − ‖S‖²/2k` of S = FᵀF, 0 where all singular values are equal: its descent brings the condition number down. By S its
 * gradient is `σ₁ u₁u₁ᵀ − S/k`. k is the rank of S, which is its size where no direction is without any feature.
 *
 * @param features - F, `[examples, width]`, row-major.
 * @see Zheng et al., "Model Immunization from a Condition Number Perspective", ICML 2025, section 4.
 */
export function wellConditioned(features: Float32Array, examples: number, width: number): ConditionTerm {
  const spectrum = spectrumOf(features, examples, width);
  const { sigma, rank, energy, slopeAt } = spectrum;
  return {
    value: rank === 0 ? 0 : sigma(0) ** 2 / 2 - energy / (2 * rank),
    condition: spectrum.condition,
    slope: slopeAt(0, 1),
  };
}

/**
 * `R_ill(S) = 1 / (‖S‖²/2k − ½σ_k²)` of S = FᵀF, as {@link wellConditioned}: its descent brings the condition number up. By S its gradient
 * is `(σ_k u_k u_kᵀ − S/k) / (‖S‖²/2k − ½σ_k²)²`.
 *
 * @param features - F, `[examples, width]`, row-major.
 */
export function illConditioned(features: Float32Array, examples: number, width: number): ConditionTerm {
  const { sigma, rank, energy, condition, slopeAt } = spectrumOf(features, examples, width);
  const gap = rank === 0 ? 0 : energy / (2 * rank) - sigma(rank - 1) ** 2 / 2;
  // Equal singular values, but for rounding.
  if (gap <= 1e-15 * energy) {
    return { value: Number.POSITIVE_INFINITY, condition, slope: new Float64Array(features.length) };
  }
  return { value: 1 / gap, condition, slope: slopeAt(rank - 1, 1 / gap ** 2) };
}

/** The singular values of S = FᵀF, by the smaller of FᵀF and FFᵀ, in float64. */
function spectrumOf(features: Float32Array, examples: number, width: number) {
  const isTall = examples > width;
  const side = Math.min(examples, width);
  const gram = isTall ? columnProducts(features, examples, width) : rowProducts(features, examples, width);
  const { values, vectors } = symmetricEigen(gram, side, { vectors: true });
  // Descending: number j is the j-th largest.
  const sigma = (j: number) => Math.max(values[side - 1 - j], 0);
  const rank = values.filter((value) => value > RANK_TOLERANCE * sigma(0)).length;
  const energy = values.reduce((sum, value) => sum + value * value, 0);
  return {
    sigma,
    rank,
    energy,
    condition: rank === 0 ? 1 : sigma(0) / sigma(rank - 1),
    /** `2·factor·(σ_j F u_j u_jᵀ − F S/k)`: the gradient by F of what has the gradient `factor·(σ_j u_j u_jᵀ − S/k)` by S. */
    slopeAt(j: number, factor: number): Float64Array {
      const slope = new Float64Array(features.length);
      if (rank === 0) return slope;
      const vector = vectors.subarray((side - 1 - j) * side, (side - j) * side);
      // F u uᵀ = q qᵀ F, q the vector of FFᵀ.
      const left = isTall ? timesColumn(features, vector, examples, width) : vector;
      const right = isTall ? vector : timesRow(features, vector, examples, width);
      for (let i = 0; i < examples; i++) {
        for (let c = 0; c < width; c++) {
          let through = 0;
          if (isTall) for (let m = 0; m < width; m++) through += features[i * width + m] * gram[m * width + c];
          else for (let m = 0; m < examples; m++) through += gram[i * examples + m] * features[m * width + c];
          slope[i * width + c] = 2 * factor * (sigma(j) * left[i] * right[c] - through / rank);
        }
      }
      return slope;
    },
  };
}

function columnProducts(features: Float32Array, examples: number, width: number): Float64Array {
  const gram = new Float64Array(width * width);
  for (let i = 0; i < examples; i++) {
    for (let a = 0; a < width; a++) {
      const value = features[i * width + a];
      if (value !== 0) for (let b = 0; b < width; b++) gram[a * width + b] += value * features[i * width + b];
    }
  }
  return gram;
}

function rowProducts(features: Float32Array, examples: number, width: number): Float64Array {
  const gram = new Float64Array(examples * examples);
  for (let i = 0; i < examples; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += features[i * width + c] * features[j * width + c];
      gram[i * examples + j] = sum;
      gram[j * examples + i] = sum;
    }
  }
  return gram;
}

function timesColumn(features: Float32Array, vector: Float64Array, examples: number, width: number): Float64Array {
  return Float64Array.from({ length: examples }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < width; c++) sum += features[i * width + c] * vector[c];
    return sum;
  });
}

function timesRow(features: Float32Array, vector: Float64Array, examples: number, width: number): Float64Array {
  const found = new Float64Array(width);
  for (let i = 0; i < examples; i++) for (let c = 0; c < width; c++) found[c] += vector[i] * features[i * width + c];
  return found;
}
