import type { Node, Tensor } from '../graph.js';
import type { OpAttributes, OpType } from '../ops.js';

/**
 * Gradients of the inputs of a node, given those of its outputs: one entry an input, `undefined` for "no gradient",
 * which differs from zero. A gradient may have the shape that the input broadcast to; the walk sums it back.
 */
export type GradientRule<K extends OpType> = (
  node: GradientNode<K>,
  outputGradients: OutputGradients,
) => InputGradients;

/** A node whose inputs the rule may take as given. */
export interface GradientNode<K extends OpType> {
  /** Inputs; positions that the operator requires are there. */
  readonly inputs: readonly Tensor[];
  /** Outputs. */
  readonly outputs: readonly Tensor[];
  /** Attributes. */
  readonly attributes: Node<K>['attributes'];
}

/** The gradient of output 0 is there for operators with one output; of others, at least one is. */
export type OutputGradients = readonly [Tensor, ...(Tensor | undefined)[]];

/** One entry an input; missing entries at the end mean "no gradient". */
export type InputGradients = readonly (Tensor | undefined)[];

/** One rule for each of some operators: a missing one does not compile. */
export type GradientRules<Ops extends Partial<OpAttributes>> = { readonly [K in keyof Ops & OpType]: GradientRule<K> };
