import { tridiagonalEigen } from '../linalg/index.js';
import { InputError } from '../registry/index.js';
import { lanczos, normalVector, type SymmetricProduct } from './lanczos.js';

/** Weights at places of the real line that stand for a distribution of eigenvalues; the weights sum to 1. */
export interface SpectralMeasure {
  /** Places, ascending. */
  readonly values: Float64Array;
  /** Weight of each. */
  readonly weights: Float64Array;
}

/** Options of {@link spectralDensity}. */
export interface DensityOptions {
  /** Random vectors; the error falls with their root. Default 8. */
  probes?: number;
  /** Products for each: polynomials up to twice that degree, less one, are summed exactly. Default 60. */
  steps?: number;
  /** Decides the vectors. */
  seed?: number;
}

/**
 * How much of a vector lies along eigenvectors of which eigenvalue: the measure `Σ ⟨v, uᵢ⟩² / |v|² · δ(λᵢ)`, as Gauss's
 * quadrature of Lanczos' method.
 *
 * @param vector - Any but 0.
 */
export async function spectralMeasure(
  product: SymmetricProduct,
  vector: Float64Array,
  steps: number,
): Promise<SpectralMeasure> {
  const { diagonal, off } = await lanczos(product, vector, steps);
  const { values, first } = tridiagonalEigen(diagonal, off);
  return { values, weights: first.map((element) => element * element) };
}

/**
 * The spectral density of a large symmetric matrix, `1/n · Σ δ(λᵢ)`, by stochastic Lanczos quadrature: the mean of the
 * measures of random vectors.
 *
 * @param size - Length of its vectors.
 * @see Ghorbani, Krishnan and Xiao, "An Investigation into Neural Net Optimization via Hessian Eigenvalue Density", ICML 2019.
 */
export async function spectralDensity(
  product: SymmetricProduct,
  size: number,
  { probes = 8, steps = 60, seed = 1 }: DensityOptions = {},
): Promise<SpectralMeasure> {
  if (!(probes >= 1 && steps >= 1)) {
    throw new InputError(`spectral density: expected probes and steps from 1, got ${probes} and ${steps}`);
  }
  const points: { value: number; weight: number }[] = [];
  for (let probe = 0; probe < probes; probe++) {
    const { values, weights } = await spectralMeasure(product, normalVector(size, seed, probe), steps);
    values.forEach((value, index) => {
      points.push({ value, weight: weights[index] / probes });
    });
  }
  points.sort((a, b) => a.value - b.value);
  return {
    values: Float64Array.from(points, ({ value }) => value),
    weights: Float64Array.from(points, ({ weight }) => weight),
  };
}

/** The weight at or below a place. */
export function cumulative({ values, weights }: SpectralMeasure, place: number): number {
  return values.reduce((sum, value, index) => (value <= place ? sum + weights[index] : sum), 0);
}
