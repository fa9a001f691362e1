import { ancestors, type Tensor } from './graph.js';

/**
 * What a tensor would be if another stood in the place of one that it is computed from: the last layers of a network on what an earlier
 * one holds. Itself where it does not depend on it.
 *
 * @param to - Shaped like `from`.
 */
export function substituted(tensor: Tensor, from: Tensor, to: Tensor): Tensor {
  const copies = new Map([[from, to]]);
  for (const { op, inputs, attributes, outputs } of ancestors([tensor], (each) => each === from)) {
    if (!inputs.some((input) => input && copies.has(input))) continue;
    const found = from.graph.apply(
      op,
      inputs.map((input) => input && (copies.get(input) ?? input)),
      attributes,
    );
    outputs.forEach((output, index) => {
      copies.set(output, found[index]);
    });
  }
  return copies.get(tensor) ?? tensor;
}
