import type { Dataset } from '../../data/index.js';
import type { Evaluator, ParameterSet } from '../../training/index.js';
import { sparseProjection } from './projection.js';

/**
 * What a model gives for each example, `[size, width]`; of outputs for every token those of the last one. Infinite and missing
 * numbers count as 0.
 *
 * @param most - Numbers of an example that are kept at most: more are projected at random to so many.
 */
export async function featuresOf(
  evaluator: Evaluator,
  params: ParameterSet,
  dataset: Dataset,
  most: number,
): Promise<Float32Array> {
  let all: Float32Array | undefined;
  let project = (row: Float32Array) => row;
  await evaluator.each(params, dataset, ({ positions, values, shape }) => {
    const width = shape[shape.length - 1];
    const rows = values.length / width / positions.length;
    if (!all) {
      if (width > most) project = sparseProjection(width, most);
      all = new Float32Array(dataset.size * Math.min(width, most));
    }
    const kept = all.length / dataset.size;
    for (const [row, position] of positions.entries()) {
      const last = rows === 1 ? 0 : (dataset.examples.lengths?.[dataset.indices[position]] ?? rows) - 1;
      const from = (row * rows + last) * width;
      const own = values.subarray(from, from + width).map((value) => (Number.isFinite(value) ? value : 0));
      all.set(project(own), position * kept);
    }
  });
  return all ?? new Float32Array();
}
