import type { Dataset } from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import type { Evaluator, ParameterSet } from '../training/index.js';

/** Numbers of an example that a classifier is fitted to at most; wider outputs, such as of a vocabulary, are projected. */
const most = 1024;

/**
 * What a released model says of each example, `[size, width]`: its output, of texts that of their last token. Infinite and
 * missing numbers count as 0. More than 1024 numbers are projected at random to so many (Gaussian, by a fixed seed), which keeps
 * their distances.
 */
export async function releasedFeatures(
  released: Evaluator,
  params: ParameterSet,
  dataset: Dataset,
): Promise<Float32Array> {
  let all: Float32Array | undefined;
  let project = (row: Float32Array) => row;
  await released.each(params, dataset, ({ positions, values, shape }) => {
    const width = shape[shape.length - 1];
    const rows = values.length / width / positions.length;
    if (!all) {
      if (width > most) project = projection(width);
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

function projection(width: number): (row: Float32Array) => Float32Array {
  const matrix = new Float32Array(most * width);
  new RandomStream(0, `projection of ${width}`).fillNormal(matrix, 0, 1 / Math.sqrt(most));
  return (row) => {
    const projected = new Float32Array(most);
    for (let i = 0; i < most; i++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += matrix[i * width + j] * row[j];
      projected[i] = sum;
    }
    return projected;
  };
}
