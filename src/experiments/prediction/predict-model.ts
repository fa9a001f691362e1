import type { Dataset } from '../../data/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { Model } from '../../models/index.js';
import type { Method } from '../../theory/index.js';
import { batchSurface } from './batch-surface.js';
import {
  type Forecast,
  forecastRate,
  forecastSteps,
  type Interval,
  intervalOf,
  modelAt,
  type StepsForecast,
} from './forecast.js';

/** What is predicted of a model, and on how much data. */
export interface PredictionOptions {
  /** What moves the weights. */
  readonly method: Method;
  /** Examples a batch; each is descended as a whole. */
  readonly examples: number;
  /** Batches, each of other examples as long as there are some. */
  readonly batches: number;
  /** Learning rate of the steps; none: `rateShare` of each one's own predicted rate. */
  readonly learningRate?: number;
  /** Share of the predicted stable rate. */
  readonly rateShare: number;
  /** Loss to reach; none: half of the first loss, of the unlocked model where there is one. */
  readonly target?: number;
  /** Steps at most. */
  readonly budget: number;
  /** Measures beside predicting. */
  readonly check: boolean;
  /** Decides the batches. */
  readonly seed: number;
}

/** What was found of one model on one batch. */
export interface BatchPrediction {
  /** Loss at the start. */
  readonly loss: number;
  /** Largest curvature, of AdamW in its own coordinates. */
  readonly sharpness: number;
  /** Loss that the steps are counted to. */
  readonly target: number;
  /** The largest stable learning rate. */
  readonly rate: Forecast;
  /** Learning rate of the steps. */
  readonly learningRate: number;
  /** Steps to the target. */
  readonly steps: StepsForecast;
}

/** Numbers over all batches; none where a batch has none. */
export interface Summary {
  /** From the start alone. */
  readonly predicted?: Interval;
  /** Of local models laid end to end. */
  readonly path?: Interval;
  /** By doing it. */
  readonly measured?: Interval;
}

/** What was found of a model. */
export interface ModelPrediction {
  /** One a batch. */
  readonly batches: readonly BatchPrediction[];
  /** The largest stable learning rate. */
  readonly rate: Summary;
  /** Steps to the loss that is the goal. */
  readonly steps: Summary;
}

/** What was found of a model, and of the unlocked one beside it. */
export interface PredictionResult {
  /** The model that was asked about. */
  readonly model: ModelPrediction;
  /** The unlocked one beside it. */
  readonly against?: ModelPrediction;
  /** Steps of the model over those of the unlocked one, batch by batch. */
  readonly slowdown?: Summary;
}

/** How it is computed, shown and ended. */
export interface PredictionContext {
  /** Threads and device. */
  readonly engine: EngineOptions;
  /** Ends it after the current product. */
  readonly signal?: AbortSignal;
  /** Hears of each model and batch that is done. */
  readonly onDone?: (done: number) => void;
}

/**
 * The largest stable learning rate and the steps to a loss of a model on batches of a data set, and with an unlocked model of the
 * slowdown on the same batches.
 *
 * @throws InputError when the data do not fit, or the curvature has no positive end.
 */
export async function predictTraining(
  { model, against }: { model: Model; against?: Model },
  dataset: Dataset,
  options: PredictionOptions,
  { engine, signal, onDone }: PredictionContext,
): Promise<PredictionResult> {
  const [own, other]: [BatchPrediction[], BatchPrediction[]] = [[], []];
  for (let draw = 0; draw < options.batches; draw++) {
    let target = options.target;
    const one = async (of: Model) => {
      const found = await predictBatch(of, dataset, { ...options, draw, target }, { engine, signal });
      target ??= found.target;
      onDone?.(own.length + other.length + 1);
      return found;
    };
    if (against) other.push(await one(against));
    own.push(await one(model));
  }
  const result = { model: { batches: own, ...summaries(own) } };
  if (!against) return result;
  const slowdown = summaryOf(own.map(({ steps }, draw) => ratios(steps, other[draw].steps)));
  return { ...result, against: { batches: other, ...summaries(other) }, slowdown };
}

async function predictBatch(
  model: Model,
  dataset: Dataset,
  options: PredictionOptions & { draw: number },
  { engine, signal }: PredictionContext,
): Promise<BatchPrediction> {
  const { method, examples, seed, draw, check, budget, rateShare } = options;
  const place = batchSurface(model, dataset, { size: examples, seed, draw }, engine);
  try {
    const how = { check, seed: seed + draw, signal };
    const local = await modelAt(place, method, how);
    const rate = await forecastRate(place, local, method, how);
    const { target = local.loss / 2, learningRate = rateShare * rate.predicted } = options;
    const steps = await forecastSteps(place, local, { ...method, rate: learningRate }, { target, budget }, how);
    return { loss: local.loss, sharpness: local.sharpness.value, target, rate, learningRate, steps };
  } finally {
    await place.surface.release();
  }
}

const ratio = (a: number | null | undefined, b: number | null | undefined) => (a && b ? a / b : null);

function ratios(own: StepsForecast, other: StepsForecast): StepsForecast {
  return {
    predicted: ratio(own.predicted, other.predicted),
    ...(own.path !== undefined && { path: ratio(own.path, other.path) }),
    ...(own.measured !== undefined && { measured: ratio(own.measured, other.measured) }),
  };
}

function summaries(batches: readonly BatchPrediction[]): Pick<ModelPrediction, 'rate' | 'steps'> {
  return { rate: summaryOf(batches.map(({ rate }) => rate)), steps: summaryOf(batches.map(({ steps }) => steps)) };
}

function summaryOf(forecasts: readonly StepsForecast[]): Summary {
  const [predicted, path, measured] = (['predicted', 'path', 'measured'] as const).map((key) =>
    intervalOf(forecasts.map((forecast) => forecast[key])),
  );
  return { ...(predicted && { predicted }), ...(path && { path }), ...(measured && { measured }) };
}
