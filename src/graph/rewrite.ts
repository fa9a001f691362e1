import { ancestors, Graph, type Node, type Tensor } from './graph.js';

/** How a computation is written anew. */
export interface Rewriting {
  /** What stands for an input or a constant of the new graph; default itself. */
  leaf?(tensor: Tensor): Tensor;
  /** What stands for the outputs of a node, given what stands for its inputs. */
  node(graph: Graph, node: Node, inputs: readonly (Tensor | undefined)[]): readonly Tensor[];
}

/**
 * The same computation in a graph of its own, with each node written as told. Inputs keep their names.
 *
 * @param outputs - Tensors of one graph.
 */
export function rewritten(
  outputs: Readonly<Record<string, Tensor>>,
  { leaf = (tensor) => tensor, node: write }: Rewriting,
): Record<string, Tensor> {
  const graph = new Graph();
  const copies = new Map<Tensor, Tensor>();
  const copyOf = (tensor: Tensor): Tensor => {
    const known = copies.get(tensor);
    if (known) return known;
    const { source, shape, dtype } = tensor;
    const copy =
      source.kind === 'input'
        ? graph.input(source.name, shape, dtype)
        : graph.constant(source.kind === 'constant' ? Array.from(source.values, Number) : [], shape, dtype);
    const result = leaf(copy);
    copies.set(tensor, result);
    return result;
  };
  for (const node of ancestors(Object.values(outputs))) {
    const results = write(
      graph,
      node,
      node.inputs.map((input) => input && copyOf(input)),
    );
    node.outputs.forEach((output, index) => {
      copies.set(output, results[index]);
    });
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, copyOf(tensor)]));
}
