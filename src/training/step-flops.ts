import { type Dataset, layoutAt } from '../data/index.js';
import { flops } from '../graph/index.js';
import type { ModelSpec } from '../models/index.js';
import { type Task, taskOf } from '../tasks/index.js';
import { LossGraphs } from './loss-graphs.js';

/** Floating-point operations of a step, as {@link flops} counts them, the optimizer's own arithmetic apart. */
export interface StepFlops {
  /** Of the outputs alone. */
  readonly forward: number;
  /** Of loss and gradients, the outputs included. */
  readonly step: number;
}

/**
 * What a step computes on a batch of examples like the first of a data set. Nothing is compiled.
 *
 * @param count - Examples of the batch.
 * @param task - What it is trained on; default the task of its head. Of one without a loss, a step counts as three passes.
 */
export function stepFlops(model: ModelSpec, dataset: Dataset, count: number, task: Task = taskOf(model)): StepFlops {
  const loss = new LossGraphs(model, task, { weights: { task: 1, divergence: 0 } });
  const specs = loss.specs(layoutAt(task.view?.(dataset) ?? dataset, Uint32Array.of(0)), count);
  const forward = flops([loss.output(specs)]);
  return { forward, step: task.loss ? flops(Object.values(loss.build(specs).outputs)) : 3 * forward };
}
