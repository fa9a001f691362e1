import { type Dataset, readBatch } from '../../src/data/index.js';

/** The inputs `x` of some examples of a data set, `[count, ...shape]`; default all. */
export function readX(dataset: Dataset, start?: number, count?: number): Float32Array {
  return readBatch(dataset, start, count).x as Float32Array;
}

/** Shape of the inputs `x` of one example. */
export function shapeOf({ examples }: Dataset): readonly number[] {
  return examples.layout([]).x.shape;
}
