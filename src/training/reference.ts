import type { Dataset } from '../data/index.js';
import type { Tensor, TypedArray } from '../graph/index.js';
import { type ArraySpecs, type Batch, batchInput } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import type { Task } from '../tasks/index.js';
import type { Evaluator } from './evaluate.js';
import type { Reference } from './original.js';
import { requireTop, TOP_ARRAYS } from './top-outputs.js';

/** Name of the batch's array that holds the reference outputs. */
const REFERENCE = 'reference';

/**
 * Refuses what no divergence can be from.
 *
 * @throws InputError when outputs are missing, or are those of other examples.
 */
export function requireReference(dataset: Dataset, reference: Reference | undefined): void {
  if (reference && !('outputs' in reference)) return;
  const outputs = reference?.outputs;
  if (!outputs || dataset.size === 0 || outputs.length % dataset.size !== 0) {
    const found = outputs ? `${outputs.length} numbers` : 'none';
    throw new InputError(`objective: expected reference outputs of ${dataset.size} examples, got ${found}`);
  }
  if (dataset.examples.augmented) {
    throw new InputError(
      `${dataset.name}: expected examples without crop and flip for the KL part, whose reference outputs are those of the plain ones`,
    );
  }
}

/** How many of the most likely answers a reference knows; undefined where it knows all. */
export function topOf(reference: Reference | undefined): number | undefined {
  return reference && 'top' in reference ? reference.top.k : undefined;
}

/**
 * The divergence of a batch's outputs from the reference's, which become inputs of the graph.
 *
 * @param target - Graph inputs of the targets' arrays.
 * @param top - How many of the most likely answers are known; default all.
 */
export function divergenceFrom(
  task: Task,
  output: Tensor,
  target: (name: string) => Tensor,
  top: number | undefined,
): Tensor {
  const { graph, shape } = output;
  if (top === undefined)
    return task.divergence(output, graph.input(batchInput(REFERENCE), shape, output.dtype), target);
  const of = (width: number) => [...shape.slice(0, -1), width];
  const known = {
    answers: graph.input(batchInput(TOP_ARRAYS.answers), of(top), 'int32'),
    logProbabilities: graph.input(batchInput(TOP_ARRAYS.logProbabilities), of(top)),
    rest: graph.input(batchInput(TOP_ARRAYS.rest), of(1)),
  };
  return requireTop(task)(output, known, target);
}

/** Reads what a reference gives for batches of a data set. */
export class ReferenceReader {
  /**
   * @param size - Examples of the data set.
   * @param teacher - Computes outputs that were not kept.
   */
  constructor(
    readonly reference: Reference,
    readonly size: number,
    readonly teacher: Evaluator,
  ) {}

  /** The arrays of a batch with such outputs that hold the reference's. */
  arrays(output: Tensor): Record<string, TypedArray> {
    const { reference } = this;
    if ('top' in reference) return reference.top.arrays(output.size / output.shape[output.rank - 1]);
    return { [REFERENCE]: new Float32Array(output.size) };
  }

  /**
   * Writes the reference's outputs for a batch into it.
   *
   * @param specs - Its arrays that the examples give.
   */
  async read(positions: Uint32Array, { batch, specs }: { batch: Batch; specs: ArraySpecs }): Promise<void> {
    const { reference } = this;
    if ('top' in reference) return reference.top.read(positions, batch);
    const rows = batch[REFERENCE] as Float32Array;
    if ('weights' in reference) rows.set((await this.teacher.forward(reference.weights, batch, specs)).values);
    else gatherRows(reference.outputs, this.size, positions, rows);
  }
}

/** Copies the rows at some positions of an array `[size, ...]`. */
function gatherRows(values: Float32Array, size: number, positions: Uint32Array, out: Float32Array): void {
  const width = values.length / size;
  positions.forEach((position, row) => {
    out.set(values.subarray(position * width, (position + 1) * width), row * width);
  });
}
