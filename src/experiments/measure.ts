import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { type Model, parameterSet } from '../models/index.js';
import type { Evaluation } from '../tasks/index.js';
import { Evaluator, type PassWatch } from '../training/index.js';

/** Works with an evaluator of a model, which is released at the end. */
async function withEvaluator<T>(
  model: Model,
  engine: EngineOptions | undefined,
  work: (own: Evaluator) => Promise<T>,
): Promise<T> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await work(evaluator);
  } finally {
    await evaluator.release();
  }
}

/** How a model is run on a data set. */
export interface MeasureOptions extends PassWatch {
  /** Threads and device. */
  readonly engine?: EngineOptions;
}

/**
 * What a model's task measures on a data set.
 *
 * @param options - `original`: model whose outputs are compared with, of the same inputs and head; default none.
 * @throws InterruptedError after the signal.
 */
export function evaluateModel(
  model: Model,
  dataset: Dataset,
  { engine, original: other, ...watch }: MeasureOptions & { readonly original?: Model } = {},
): Promise<Evaluation> {
  const original = other && { weights: parameterSet(other.weights), model: other };
  return withEvaluator(model, engine, (own) =>
    own.evaluate(parameterSet(model.weights), dataset, { original, ...watch }),
  );
}

/**
 * Outputs `[size, ...]` of a model on a data set: logits of a classifier.
 *
 * @throws InterruptedError after the signal.
 */
export function predict(
  model: Model,
  dataset: Dataset,
  { engine, ...watch }: MeasureOptions = {},
): Promise<Float32Array> {
  return withEvaluator(model, engine, (own) => own.outputs(parameterSet(model.weights), dataset, watch));
}
