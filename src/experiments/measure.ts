import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { type Model, parameterSet } from '../models/index.js';
import type { Evaluation } from '../tasks/index.js';
import { Evaluator } from '../training/index.js';

/** Works with an evaluator of a model, which is released at the end. */
async function withEvaluator<T>(model: Model, engine: EngineOptions, work: (own: Evaluator) => Promise<T>): Promise<T> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await work(evaluator);
  } finally {
    await evaluator.release();
  }
}

/**
 * What a model's task measures on a data set.
 *
 * @param original - Model whose outputs are compared with, of the same inputs and head; default none.
 */
export function evaluateModel(
  model: Model,
  dataset: Dataset,
  engine: EngineOptions,
  original?: Model,
): Promise<Evaluation> {
  const compared = original && { original: { weights: parameterSet(original.weights), model: original } };
  return withEvaluator(model, engine, (own) => own.evaluate(parameterSet(model.weights), dataset, compared));
}

/** Outputs `[size, ...]` of a model on a data set: logits of a classifier. */
export function predict(model: Model, dataset: Dataset, engine: EngineOptions): Promise<Float32Array> {
  return withEvaluator(model, engine, (own) => own.outputs(parameterSet(model.weights), dataset));
}
