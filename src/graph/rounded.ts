import { ancestors, Graph, type Tensor } from './graph.js';

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
  const graph = new Graph();
  const copies = new Map<Tensor, Tensor>();
  const round = (tensor: Tensor): Tensor => {
    if (tensor.dtype !== 'float32') return tensor;
    const [half] = graph.apply('Cast', [tensor], { to: type });
    return graph.apply('Cast', [half], { to: 'float32' })[0];
  };
  const copyOf = (tensor: Tensor): Tensor => {
    const known = copies.get(tensor);
    if (known) return known;
    const { source, shape, dtype } = tensor;
    const copy =
      source.kind === 'input'
        ? graph.input(source.name, shape, dtype)
        : graph.constant(source.kind === 'constant' ? Array.from(source.values, Number) : [], shape, dtype);
    const result = round(copy);
    copies.set(tensor, result);
    return result;
  };
  for (const node of ancestors(Object.values(outputs))) {
    const inputs = node.inputs.map((input) => input && copyOf(input));
    const results = graph.apply(node.op, inputs, node.attributes);
    node.outputs.forEach((output, index) => {
      copies.set(output, round(results[index]));
    });
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, copyOf(tensor)]));
}
