import { type Dataset, layoutAt } from '../data/index.js';
import { mostHeld, type Tensor } from '../graph/index.js';
import { type ModelSpec, smallestExample } from '../models/index.js';
import { type ArraySpecs, batchSpecs } from '../nn/index.js';
import { taskOf } from '../tasks/index.js';
import { examplesARun, textsARun } from './evaluate.js';
import { LossGraphs } from './loss-graphs.js';

/**
 * So many times what a graph holds at once ONNX Runtime takes for it at most: its blocks of memory grow in steps, and a convolution has a
 * work space (docs/decisions/speed.md).
 */
const runtimeShare = 2.5;

/** All element types here are float32 or int32 but for the pool's int64 indices; four bytes are near enough. */
const elementBytes = 4;

/**
 * Bytes that one step's tensors take at most, parameters and gradients included.
 *
 * @param options - `layout`: arrays of one example, default the smallest that the model takes. `recompute`: whether blocks are
 *   computed again.
 */
export function stepBytes(
  model: ModelSpec,
  batchSize: number,
  { layout = smallestExample(model), recompute = false }: { layout?: ArraySpecs; recompute?: boolean } = {},
): number {
  const task = taskOf(model);
  const weights = task.loss ? { task: 1, divergence: 0 } : { task: 0, divergence: 1 };
  const loss = new LossGraphs(model, task, { weights, recompute });
  return programBytes(Object.values(loss.build(loss.specs(layout, batchSize)).outputs));
}

/**
 * Bytes that the tensors of one run take at most where a model is judged on examples, parameters included.
 *
 * @param layout - Arrays of one example.
 */
export function evaluationBytes(model: ModelSpec, { size, examples }: Dataset, layout: ArraySpecs): number {
  const outputOf = (count: number) => model.build(batchSpecs(layout, count)).outputs[taskOf(model).output];
  const most = Math.min(size, examplesARun);
  return programBytes([outputOf(examples.lengths ? Math.min(most, textsARun(layout, outputOf(1).size)) : most)]);
}

/** The arrays of one example, for each length that examples are padded to; the longest first. */
export function layoutsOf(dataset: Dataset): readonly ArraySpecs[] {
  const layouts = new Map<string, ArraySpecs>();
  for (let position = 0; position < (dataset.examples.lengths ? dataset.size : 1); position++) {
    const layout = layoutAt(dataset, Uint32Array.of(position));
    layouts.set(JSON.stringify(layout), layout);
  }
  const sizeOf = (layout: ArraySpecs) => Math.max(...Object.values(layout).map(({ shape: [length = 1] }) => length));
  return [...layouts.values()].sort((a, b) => sizeOf(b) - sizeOf(a));
}

function programBytes(outputs: readonly Tensor[]): number {
  const inputs = [...outputs[0].graph.inputs.values()].reduce((sum, { size }) => sum + size, 0);
  return elementBytes * (inputs + runtimeShare * mostHeld(outputs));
}
