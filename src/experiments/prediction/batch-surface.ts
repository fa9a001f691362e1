import { allocateBatch, batchOrder, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { Model } from '../../models/index.js';
import { batchSpecs } from '../../nn/index.js';
import { type Task, taskOf } from '../../tasks/index.js';
import { modelSurface } from '../../theory/index.js';
import type { Place } from './forecast.js';

/** Which examples of a data set a loss is over. */
export interface BatchChoice {
  /** Examples; fewer where there are not so many. */
  readonly size: number;
  /** Decides the shuffle. */
  readonly seed: number;
  /** Which batch of the shuffle, from 0. */
  readonly draw?: number;
}

/**
 * A model's place on its loss over some examples of a data set, in float64, without dropout or augmentation.
 *
 * @throws InputError when the data set does not fit the model.
 */
export function batchSurface(
  model: Model,
  given: Dataset,
  { size, seed, draw = 0 }: BatchChoice,
  engine: EngineOptions,
  task: Task = taskOf(model),
): Place {
  task.requireFit(model, given);
  const dataset = task.view?.(given) ?? given;
  const positions = new Uint32Array(Math.min(size, dataset.size));
  batchOrder(dataset, positions.length, seed).positions(draw, positions);
  const examples = layoutAt(dataset, positions);
  const layout = { ...examples, ...task.targets(examples) };
  const specs = batchSpecs(layout, positions.length);
  const batch = allocateBatch(specs);
  gatherBatch(dataset, positions, { batch, layout });
  const read = task.targetReader(dataset);
  positions.forEach((position, row) => {
    read(position, { batch, row, layout });
  });
  return modelSurface({ model, batch, specs, task, engine });
}
