import { meanInterval } from '../../linalg/index.js';
import {
  type Goal,
  type LocalModel,
  type LossSurface,
  localModel,
  type Method,
  measuredStableRate,
  measuredSteps,
  pathModels,
  pathSteps,
  predictedSteps,
  stableRate,
} from '../../theory/index.js';

/** A number foreseen, and what it came to where that was looked at. */
export interface Forecast {
  /** What is foreseen; null: nothing within the budget. */
  readonly predicted: number | null;
  /** What was measured; null: not within the budget; none: it was not looked at. */
  readonly measured?: number | null;
}

/** Steps foreseen from the start alone and along the way, and what they came to. */
export interface StepsForecast extends Forecast {
  /** Of local models laid end to end; null: not within the budget; none for methods that they are not made for. */
  readonly path?: number | null;
}

/** A place on a loss. */
export interface Place {
  /** The loss. */
  readonly surface: LossSurface;
  /** Where. */
  readonly point: Float64Array;
}

/** Whether all is measured as well, what is told when, and what stops it. */
export interface ForecastOptions {
  /** Measures beside predicting; default false. */
  readonly check?: boolean;
  /** Decides the start of the search for the largest curvature. */
  readonly seed?: number;
  /** Ends it after the current step. */
  readonly signal?: AbortSignal;
}

/** Memory of the vectors that a search for the largest curvature keeps at most, bytes. */
const vectorBytes = 2e9;

/** The local model at a place; of large models no more vectors are kept than fit. */
export function modelAt(
  { surface, point }: Place,
  { optimizer }: Method,
  { seed, signal }: ForecastOptions,
): Promise<LocalModel> {
  const { maxSteps, steps } = modelProducts(surface);
  return localModel(surface, point, { steps, maxSteps, seed, optimizer, signal });
}

/** Products for the largest curvature at most, and for the gradient's measure. */
function modelProducts({ size }: LossSurface): { maxSteps: number; steps: number } {
  const maxSteps = Math.max(10, Math.min(300, Math.floor(vectorBytes / (8 * size))));
  return { maxSteps, steps: Math.min(40, maxSteps) };
}

/** Products with the Hessian that forecasts take at most: of a local model, and of models laid end to end. */
export function forecastProducts(surface: LossSurface): {
  curvature: number;
  path: { models: number; products: number };
} {
  const { maxSteps, steps } = modelProducts(surface);
  return { curvature: maxSteps + steps, path: { models: pathModels, products: productsFor(surface) } };
}

/** The largest stable learning rate at a place. */
export async function forecastRate(
  { surface, point }: Place,
  model: LocalModel,
  method: Method,
  { check = false, signal }: ForecastOptions = {},
): Promise<Forecast & { readonly predicted: number }> {
  const predicted = stableRate(model, method);
  if (!check) return { predicted };
  return { predicted, measured: await measuredStableRate(surface, point, { ...method, guess: predicted, signal }) };
}

/** Steps to a loss at a learning rate. */
export async function forecastSteps(
  { surface, point }: Place,
  model: LocalModel,
  { rate, ...method }: Method & { rate: number },
  goal: Goal,
  { check = false, signal }: ForecastOptions = {},
): Promise<StepsForecast> {
  const isPlain = (method.optimizer ?? 'sgd') === 'sgd' && (method.momentum ?? 0) === 0;
  const path = isPlain
    ? { path: (await pathSteps(surface, point, rate, goal, { signal, products: productsFor(surface) })).steps ?? null }
    : {};
  const forecast = { predicted: predictedSteps(model, { rate, ...method }, goal) ?? null, ...path };
  if (!check) return forecast;
  const { steps = null } = await measuredSteps(surface, point, { rate, ...method }, goal, { signal });
  return { ...forecast, measured: steps };
}

function productsFor({ size }: LossSurface): number {
  return Math.max(5, Math.min(20, Math.floor(vectorBytes / (8 * size))));
}

/** A number over some draws: the geometric mean, and the interval of it (95 %, Student) where there are several. */
export interface Interval {
  /** Geometric mean. */
  readonly value: number;
  /** Its lower end; none of one draw. */
  readonly low?: number;
  /** Its upper end; none of one draw. */
  readonly high?: number;
  /** Draws. */
  readonly n: number;
}

/** The {@link Interval} of numbers above 0, by their logarithms; none where a draw has no number. */
export function intervalOf(values: readonly (number | null | undefined)[]): Interval | undefined {
  const found = values.filter((value) => typeof value === 'number' && value > 0);
  if (found.length < values.length || found.length === 0) return undefined;
  const { mean, low, high, n } = meanInterval(found.map((value) => Math.log(Number(value))));
  return {
    value: Math.exp(mean),
    ...(low !== undefined && high !== undefined && { low: Math.exp(low), high: Math.exp(high) }),
    n,
  };
}
