import { allocateBatch, batchOrder, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import type { ModelSpec } from '../../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs } from '../../nn/index.js';
import { taskOf } from '../../tasks/index.js';

/** Batches of what a model reads, without what it is to say of it. */
export interface InputBatches {
  /** Arrays of one example of the smallest batch there is. */
  readonly smallest: ArraySpecs;
  /** Batches until every example was in one. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, in arrays of its own; it depends on the seed and the step alone. */
  at(step: number): { readonly specs: ArraySpecs; readonly batch: Batch };
}

/** Batches of examples as a model reads them. */
export function inputBatches(
  model: ModelSpec,
  given: Dataset,
  { batchSize, seed }: { batchSize: number; seed: number },
): InputBatches {
  const dataset = taskOf(model).view?.(given) ?? given;
  const order = batchOrder(dataset, Math.min(batchSize, dataset.size), seed);
  const positions = new Uint32Array(order.batchSize);
  return {
    smallest: batchSpecs(layoutAt(dataset, positions.subarray(0, 1)), 1),
    stepsPerEpoch: order.stepsPerEpoch,
    at(step) {
      order.positions(step, positions);
      const layout = layoutAt(dataset, positions);
      const specs = batchSpecs(layout, positions.length);
      const batch = allocateBatch(specs);
      gatherBatch(dataset, positions, { batch, layout });
      return { specs, batch };
    },
  };
}
