import type { Shape } from '../graph/index.js';
import type { ArraySpecs } from '../nn/index.js';
import { InputError } from '../registry/index.js';

/**
 * Shape of the array `x` of an example, for an architecture that takes nothing else.
 *
 * @throws InputError when the example is a text.
 */
export function imageShape(architecture: string, { x, ...others }: ArraySpecs): Shape {
  if (x) return x.shape;
  const found = Object.keys(others).join(', ');
  throw new InputError(
    `architecture: expected one that takes ${found}, as the data are no images, got ${architecture}`,
  );
}
