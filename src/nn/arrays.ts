import type { DType, FloatArray, TensorType, TypedArray } from '../graph/index.js';

/**
 * The arrays of one example, or of a batch with one more axis in front, by name: `x` for images, `input_ids` and
 * `attention_mask` for text.
 */
export type ArraySpecs = Readonly<Record<string, TensorType>>;

/** What a model takes as one example: as {@link ArraySpecs}, `null` for an axis of any length. */
export type ExampleSpecs = Readonly<
  Record<string, { readonly shape: readonly (number | null)[]; readonly dtype: DType }>
>;

/** The arrays of a batch by name, row-major. */
export type Batch = Readonly<Record<string, TypedArray>>;

/** A place in a batch for the arrays of one example. */
export interface BatchRow {
  /** Arrays of the batch. */
  readonly batch: Batch;
  /** Which of its examples, from 0. */
  readonly row: number;
  /** Arrays of one of its examples: all are laid out alike. */
  readonly layout: ArraySpecs;
}

/** The arrays of a batch of so many examples. */
export function batchSpecs(example: ArraySpecs, size: number): ArraySpecs {
  return Object.fromEntries(
    Object.entries(example).map(([name, { shape, dtype }]) => [name, { shape: [size, ...shape], dtype }]),
  );
}

/** The graph input that a batch's array is fed to: apart from the weights, whatever both are called. */
export function batchInput(name: string): string {
  return `batch/${name}`;
}

/** The graph input that a weight is fed to. */
export function weightInput(name: string): string {
  return `weight/${name}`;
}

/** What a program is fed: the arrays of a batch and all weights. */
export function feedsOf(batch: Batch, weights: Iterable<readonly [string, FloatArray]>): Record<string, TypedArray> {
  const feeds: Record<string, TypedArray> = {};
  for (const name of Object.keys(batch)) feeds[batchInput(name)] = batch[name];
  for (const [name, values] of weights) feeds[weightInput(name)] = values;
  return feeds;
}
