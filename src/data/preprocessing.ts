import type { DataSpec } from './load.js';
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

/**
 * A data spec in which what it leaves open (channels, size, mean, deviation, interpolation) is as a model was trained;
 * what it gives stays. Images that are not square cannot be asked for, so their size is left open.
 *
 * @example
 * const { test } = await loadData(withPreprocessing(dataSpec.parse({ name: 'mnist', path }), readFromTheModel));
 */
export function withPreprocessing(
  spec: DataSpec,
  { channels, size: [height, width], mean, std, interpolation }: Preprocessing,
): DataSpec {
  const own = spec.channels === undefined || spec.channels === channels;
  return {
    ...spec,
    channels: spec.channels ?? (channels === 1 ? 1 : 3),
    size: spec.size ?? (height === width ? height : undefined),
    // Numbers for other channels than the wanted ones would be refused.
    mean: spec.mean.length === 0 && own ? [...mean] : spec.mean,
    std: spec.std.length === 0 && own ? [...std] : spec.std,
    interpolation: spec.interpolation ?? interpolation,
  };
}
