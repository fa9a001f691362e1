import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { type Model, parameterSet } from '../models/index.js';
import type { Evaluation } from '../tasks/index.js';
import { Evaluator } from '../training/index.js';

/** What a model's task measures on a data set. */
export async function evaluateModel(model: Model, dataset: Dataset, engine: EngineOptions): Promise<Evaluation> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await evaluator.evaluate(parameterSet(model.weights), dataset);
  } finally {
    await evaluator.release();
  }
}

/** Outputs `[size, ...]` of a model on a data set: logits of a classifier. */
export async function predict(model: Model, dataset: Dataset, engine: EngineOptions): Promise<Float32Array> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await evaluator.outputs(parameterSet(model.weights), dataset);
  } finally {
    await evaluator.release();
  }
}
