import { ancestors, type Tensor } from './graph.js';

/** The most elements of computed tensors that are held at once, those of the outputs included, when nodes run in the order in which they were written. */
export function mostHeld(outputs: readonly Tensor[]): number {
  const nodes = ancestors(outputs);
  const last = new Map<Tensor, number>();
  nodes.forEach((node, at) => {
    for (const tensor of node.outputs) last.set(tensor, at);
    for (const tensor of node.inputs) if (tensor?.source.kind === 'node') last.set(tensor, at);
  });
  for (const tensor of outputs) last.delete(tensor);
  const ending = new Map<number, number>();
  for (const [tensor, at] of last) ending.set(at, (ending.get(at) ?? 0) + tensor.size);
  let held = 0;
  let most = 0;
  nodes.forEach((node, at) => {
    held += node.outputs.reduce((sum, { size }) => sum + size, 0);
    most = Math.max(most, held);
    held -= ending.get(at) ?? 0;
  });
  return most;
}
