import { InputError } from '../registry/index.js';
import { type SpectralMeasure, spectralMeasure } from './density.js';
import { adamConstants, type Descent, type Goal, type Method } from './descent.js';
import { extremeEigenvalues, norm, type RitzValue, type SymmetricProduct } from './lanczos.js';
import type { LossSurface } from './surface.js';

/** A loss near a point, as far as its value, its gradient and the curvature along that say. */
export interface LocalModel {
  /** Loss. */
  readonly loss: number;
  /** Length of the gradient. */
  readonly gradientNorm: number;
  /** Largest eigenvalue of the Hessian. */
  readonly sharpness: RitzValue;
  /** How much of the gradient lies along which curvature. */
  readonly measure: SpectralMeasure;
}

/** Options of {@link localModel}. */
export interface LocalModelOptions {
  /** Products for the gradient's measure; default 40. */
  steps?: number;
  /** Decides the start of the search for the largest eigenvalue. */
  seed?: number;
  /** Products for the largest eigenvalue at most; default 300. */
  maxSteps?: number;
  /**
   * What moves the weights. Of AdamW everything is measured in the coordinates in which its first step is one of gradient
   * descent, each weight times `√(|g| + ε)`; default gradient descent.
   */
  optimizer?: Method['optimizer'];
  /** Stops it between two products. */
  signal?: AbortSignal;
}

/**
 * The local model of a loss at a point, from products with its Hessian.
 *
 * AdamW divides by the root of its second moment, which is |g| after the first step: P = diag(|g| + ε), and in the coordinates
 * `P^½ θ` the gradient is `P^-½ g` and the Hessian `P^-½ H P^-½`. P is taken as fixed, which it is not: it follows the gradient.
 *
 * @throws InputError where the gradient is 0: nothing moves from there.
 */
export async function localModel(
  surface: LossSurface,
  point: Float64Array,
  { steps = 40, seed = 1, maxSteps = 300, optimizer = 'sgd', signal }: LocalModelOptions = {},
): Promise<LocalModel> {
  const { loss, gradient } = await surface.evaluate(point);
  if (!(norm(gradient) > 0)) {
    throw new InputError(`local model: expected a gradient other than 0, got one of length ${norm(gradient)}`);
  }
  const scale =
    optimizer === 'sgd' ? undefined : gradient.map((value) => 1 / Math.sqrt(Math.abs(value) + adamConstants.eps));
  const scaled = (vector: Float64Array) => (scale ? vector.map((value, i) => value * scale[i]) : vector);
  const product: SymmetricProduct = async (vector) => {
    signal?.throwIfAborted();
    return scaled(await surface.product('hessian', point, scaled(vector)));
  };
  const { largest } = await extremeEigenvalues(product, surface.size, { seed, tolerance: 1e-4, maxSteps });
  const along = scaled(gradient);
  const measure = await spectralMeasure(product, along, steps);
  return { loss, gradientNorm: norm(along), sharpness: largest, measure };
}

/**
 * The learning rate up to which a method does not diverge on a quadratic of a point's curvature: `2 (1 + β) / λ_max` of
 * gradient descent with momentum β; of AdamW `2 (1 + β1) / ((1 − β1) λ_max)`, 38 / λ_max, with the λ_max of `P^-½ H P^-½`.
 *
 * @throws InputError when there is no positive curvature.
 * @see Cohen et al., "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability", ICLR 2021; Cohen et al.,
 *   "Adaptive Gradient Methods at the Edge of Stability", 2022 (AdamW).
 */
export function stableRate(
  { sharpness }: Pick<LocalModel, 'sharpness'>,
  { optimizer = 'sgd', momentum = 0 }: Method = {},
): number {
  if (!(sharpness.value > 0)) {
    throw new InputError(`stable rate: expected a positive curvature, found none above ${sharpness.value}`);
  }
  const { beta1 } = adamConstants;
  return (optimizer === 'sgd' ? 2 * (1 + momentum) : (2 * (1 + beta1)) / (1 - beta1)) / sharpness.value;
}

/**
 * Steps until the quadratic model of a loss is at a target: each node of the measure is an independent direction of curvature
 * λ, along which the distance to its minimum is multiplied by the method's polynomial ρ(λ), so that the loss has fallen by
 * `|g|² Σ w (1 − ρ²) / (2λ)`. Weight decay is left out.
 *
 * @param model - Made for the same optimizer.
 * @returns Steps; undefined where the budget is not enough or the model never gets there.
 */
export function predictedSteps(
  { loss, gradientNorm, measure }: LocalModel,
  { rate, optimizer = 'sgd', momentum = 0 }: Descent,
  { target, budget }: Goal,
): number | undefined {
  const size = measure.values.length;
  // Displacement from the start along each node, in units of its share of the gradient: −Σ of the steps so far.
  const [moved, velocity] = [new Float64Array(size), new Float64Array(size)];
  const square = gradientNorm * gradientNorm;
  const { beta1 } = adamConstants;
  for (let step = 0; step <= budget; step++) {
    let fall = 0;
    for (let i = 0; i < size; i++) {
      // Along a unit of gradient the model is loss + d + λ d² / 2 at displacement d.
      const d = moved[i];
      fall -= measure.weights[i] * (d + (measure.values[i] * d * d) / 2);
    }
    const now = loss - square * fall;
    if (now <= target) return step;
    if (!Number.isFinite(now) || now > 1e6 * Math.abs(loss)) return undefined;
    const [kept, added, length] =
      optimizer === 'sgd' ? [momentum, 1, rate] : [beta1, 1 - beta1, rate / (1 - beta1 ** (step + 1))];
    for (let i = 0; i < size; i++) {
      velocity[i] = kept * velocity[i] + added * (1 + measure.values[i] * moved[i]);
      moved[i] -= length * velocity[i];
    }
  }
  return undefined;
}
