import { add, equal, reshape, slice, where } from '../builder/index.js';
import type { Node, Tensor } from '../graph.js';

/**
 * Forward values that gradients need, computed a second time when they are needed, so that the first ones can be let go at
 * once: between two values that are kept, such as the outputs of two blocks, all that depends on the earlier one. What comes
 * before the first kept value and after the last one is held as ever.
 *
 * What is computed again must come after the gradients of all later blocks, or everything would still be held at once. So it
 * begins with a choice between the kept value and itself that waits for these gradients. That also makes it other nodes than
 * the first ones: as the same operators on the same inputs, the graph and ONNX Runtime's optimizer would make them one again.
 *
 * @see Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
 */
export class Recomputation {
  /** In the order of the forward pass. */
  readonly #kept: readonly Tensor[];
  /** The stretch of each node that is computed again: number i lies between kept values i − 1 and i. */
  readonly #stretches = new Map<Node, number>();
  readonly #copies = new Map<Tensor, Tensor>();
  /** Gradients that the next stretch waits for, by what they are of. */
  readonly #found = new Map<Tensor, Tensor>();
  /** The stretch that was begun last. */
  #current: number;

  /**
   * @param kept - Values that are not computed again.
   * @param nodes - Of the forward pass, in topological order.
   */
  constructor(kept: readonly Tensor[], nodes: readonly Node[]) {
    this.#kept = [...new Set(kept)].sort((a, b) => a.id - b.id);
    this.#current = this.#kept.length;
    let stretch = 0;
    for (const node of nodes) {
      while (stretch < this.#kept.length && this.#kept[stretch].id < node.id) stretch++;
      if (stretch === 0 || stretch === this.#kept.length) continue;
      const begin = this.#kept[stretch - 1];
      // What does not depend on the block's input, such as a mask, is the same for all blocks.
      if (node.inputs.some((x) => x && (x === begin || this.#stretchOf(x) === stretch))) {
        this.#stretches.set(node, stretch);
      }
    }
  }

  /** Notes the gradient so far of a tensor that the caller asked for. */
  found(of: Tensor, gradient: Tensor): void {
    this.#found.set(of, gradient);
  }

  /**
   * A node of the forward pass with what gradient rules may take of it.
   *
   * @param received - Gradients of its outputs.
   */
  replay(node: Node, received: readonly (Tensor | undefined)[]): Pick<Node, 'inputs' | 'outputs' | 'attributes'> {
    const stretch = this.#stretches.get(node);
    if (stretch === undefined) return node;
    if (stretch < this.#current) this.#begin(stretch, received);
    return {
      inputs: node.inputs.map((input) => input && this.#copy(input, stretch)),
      outputs: node.outputs.map((output) => this.#copy(output, stretch)),
      attributes: node.attributes,
    };
  }

  #stretchOf({ source }: Tensor): number | undefined {
    return source.kind === 'node' ? this.#stretches.get(source.node) : undefined;
  }

  #begin(stretch: number, received: readonly (Tensor | undefined)[]): void {
    this.#current = stretch;
    const awaited = [...this.#found.values(), ...received.filter((g) => g !== undefined)];
    this.#found.clear();
    const begin = this.#kept[stretch - 1];
    const sum = awaited.map(firstElement).reduce((a, b) => add(a, b));
    // Whether a number is itself: not for NaN, and then the other branch is the same.
    this.#copies.set(begin, where(equal(sum, sum), begin, begin));
  }

  /** A tensor as a stretch computes it again; itself where it is not of the stretch. */
  #copy(tensor: Tensor, stretch: number): Tensor {
    const isBegin = tensor === this.#kept[stretch - 1];
    if (!isBegin && (this.#stretchOf(tensor) !== stretch || tensor === this.#kept[stretch])) return tensor;
    const known = this.#copies.get(tensor);
    if (known || tensor.source.kind !== 'node') return known ?? tensor;
    const { op, inputs, attributes, outputs } = tensor.source.node;
    const copies = tensor.graph.apply(
      op,
      inputs.map((input) => input && this.#copy(input, stretch)),
      attributes,
    );
    outputs.forEach((output, index) => {
      this.#copies.set(output, copies[index]);
    });
    return copies[tensor.source.index];
  }
}

/** One number of a tensor, `[]`. */
function firstElement(tensor: Tensor): Tensor {
  const ranges = tensor.shape.map((_, axis) => ({ axis, end: 1 }));
  return reshape(slice(tensor, ranges), []);
}
