import type { Interpolation } from './resize.js';

/** What is done to an image before a model sees it: plain data, to be written beside the model and read back. */
export interface Preprocessing {
  /** Channels the model sees: grey is repeated, colour made grey. */
  readonly channels: number;
  /** Height and width that images have, or are resized to. */
  readonly size: readonly [height: number, width: number];
  /** Mean of each channel that is subtracted, of values 0 to 1. */
  readonly mean: readonly number[];
  /** Standard deviation of each channel that is divided by, of values 0 to 1. */
  readonly std: readonly number[];
  /** How images of another size are resized. */
  readonly interpolation: Interpolation;
}
