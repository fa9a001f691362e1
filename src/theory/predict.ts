import { InputError } from '../registry/index.js';
import { type SpectralMeasure, spectralMeasure } from './density.js';
import { extremeEigenvalues, norm, type RitzValue } from './lanczos.js';
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

/** The local model of a loss at a point, from products with its Hessian. */
export async function localModel(
  surface: LossSurface,
  point: Float64Array,
  { steps = 40, seed = 1 }: { steps?: number; seed?: number } = {},
): Promise<LocalModel> {
  const { loss, gradient } = await surface.evaluate(point);
  const product = (v: Float64Array) => surface.product('hessian', point, v);
  const { largest } = await extremeEigenvalues(product, surface.size, { seed, tolerance: 1e-4 });
  const measure = await spectralMeasure(product, gradient, steps);
  return { loss, gradientNorm: norm(gradient), sharpness: largest, measure };
}

/** How gradient descent is run. */
export interface Descent {
  /** Learning rate. */
  readonly rate: number;
  /** Momentum β of `b = β b + g`, `θ − rate · b`; default 0. */
  readonly momentum?: number;
}

/**
 * The learning rate up to which gradient descent does not diverge near a point: `2 (1 + β) / λ_max`.
 *
 * @throws InputError when there is no positive curvature.
 */
export function stableRate({ sharpness }: Pick<LocalModel, 'sharpness'>, { momentum = 0 } = {}): number {
  if (!(sharpness.value > 0)) {
    throw new InputError(`stable rate: expected a positive curvature, found none above ${sharpness.value}`);
  }
  return (2 * (1 + momentum)) / sharpness.value;
}

/**
 * Steps until the quadratic model of a loss is at a target: each node of the measure is an independent direction of curvature
 * λ, along which the distance to its minimum is multiplied by the method's polynomial ρ(λ), so that the loss has fallen by
 * `|g|² Σ w (1 − ρ²) / (2λ)`.
 *
 * @returns Steps; undefined where the budget is not enough or the model never gets there.
 */
export function predictedSteps(
  { loss, gradientNorm, measure }: LocalModel,
  { rate, momentum = 0 }: Descent,
  { target, budget }: { target: number; budget: number },
): number | undefined {
  const size = measure.values.length;
  // Displacement from the start along each node, in units of its share of the gradient: −Σ of the steps so far.
  const [moved, velocity] = [new Float64Array(size), new Float64Array(size)];
  const square = gradientNorm * gradientNorm;
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
    for (let i = 0; i < size; i++) {
      velocity[i] = momentum * velocity[i] + 1 + measure.values[i] * moved[i];
      moved[i] -= rate * velocity[i];
    }
  }
  return undefined;
}

/** Runs gradient descent itself on all of a surface's data. */
export async function measuredSteps(
  surface: LossSurface,
  start: Float64Array,
  { rate, momentum = 0 }: Descent,
  { target, budget }: { target: number; budget: number },
): Promise<{ readonly steps?: number; readonly first: number; readonly last: number; readonly highest: number }> {
  const point = Float64Array.from(start);
  const velocity = new Float64Array(point.length);
  let [first, highest] = [Number.NaN, 0];
  for (let step = 0; ; step++) {
    const { loss, gradient } = await surface.evaluate(point);
    if (step === 0) first = loss;
    highest = Math.max(highest, loss);
    if (loss <= target) return { steps: step, first, last: loss, highest };
    if (step === budget || !(loss < 1e6 * (1 + first))) return { first, last: loss, highest };
    for (let i = 0; i < point.length; i++) {
      velocity[i] = momentum * velocity[i] + gradient[i];
      point[i] -= rate * velocity[i];
    }
  }
}

/**
 * The largest learning rate at which gradient descent is stable, measured: its loss after some steps is no higher than at
 * the start and was never above twice that. By halving on a logarithmic scale, to 2 %.
 */
export async function measuredStableRate(
  surface: LossSurface,
  point: Float64Array,
  { guess, momentum = 0, steps = 100 }: { guess: number; momentum?: number; steps?: number },
): Promise<number> {
  const isStable = async (rate: number) => {
    const run = await measuredSteps(
      surface,
      point,
      { rate, momentum },
      { target: Number.NEGATIVE_INFINITY, budget: steps },
    );
    return run.last <= run.first && run.highest <= 2 * run.first;
  };
  let [low, high] = [guess, guess];
  for (let i = 0; i < 12 && !(await isStable(low)); i++) low /= 2;
  for (let i = 0; i < 12 && (await isStable(high)); i++) high *= 2;
  if (low === guess) low = high / 2;
  else high = low * 2;
  while (high / low > 1.02) {
    const middle = Math.sqrt(low * high);
    if (await isStable(middle)) low = middle;
    else high = middle;
  }
  return low;
}
