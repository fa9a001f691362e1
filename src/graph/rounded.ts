import type { Tensor } from './graph.js';
import { rewritten } from './rewrite.js';

/** Floating point types of half the size. */
export type HalfType = 'float16' | 'bfloat16';

/**
 * The same computation as a machine does it that stores every value in 16 bits: each input, constant and result of an
 * operator is rounded to the type and back, sums within an operator keep float32, as matrix units do. What is too large
 * becomes infinity.
 *
 * @param outputs - float32 tensors of one graph.
 * @returns Tensors of a new graph with the same inputs, still float32 outside.
 */
export function rounded(outputs: Readonly<Record<string, Tensor>>, type: HalfType): Record<string, Tensor> {
  const round = (tensor: Tensor): Tensor => {
    if (tensor.dtype !== 'float32') return tensor;
    const [half] = tensor.graph.apply('Cast', [tensor], { to: type });
    return tensor.graph.apply('Cast', [half], { to: 'float32' })[0];
  };
  return rewritten(outputs, {
    leaf: round,
    node: (graph, { op, attributes }, inputs) => graph.apply(op, inputs, attributes).map(round),
  });
}
