import type { Preprocessing } from './preprocessing.js';
import type { DataSpec } from './spec.js';

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
  const newSize = spec.size ?? (height === width ? height : undefined);
  return {
    ...spec,
    channels: spec.channels ?? (channels === 1 ? 1 : 3),
    size: newSize,
    // Numbers for other channels than the wanted ones would be refused.
    mean: spec.mean.length === 0 && own ? [...mean] : spec.mean,
    std: spec.std.length === 0 && own ? [...std] : spec.std,
    // Without a size nothing is resized.
    interpolation: spec.interpolation ?? (newSize === undefined ? undefined : interpolation),
  };
}
