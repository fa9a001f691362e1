import { add, reduceSum, reshape } from '../builder/index.js';
import { GraphError, isFloat, type Shape, sameShape } from '../dtype.js';
import { ancestors, type Tensor } from '../graph.js';
import type { OpAttributes, OpType } from '../ops.js';
import { elementwiseRules } from './elementwise.js';
import { matrixRules } from './matrix.js';
import { movementRules } from './movement.js';
import { Recomputation } from './recomputation.js';
import { reductionRules } from './reduction.js';
import type { GradientNode, GradientRule, GradientRules, OutputGradients } from './rule.js';

const rules: GradientRules<OpAttributes> = { ...elementwiseRules, ...matrixRules, ...reductionRules, ...movementRules };

/**
 * Reverse-mode derivatives as tensors of the same graph: `∂ Σ(output · outputGradient) / ∂ x` for each x in `wrt`.
 * They are made of the same operators, so they can be differentiated again (Hessian-vector products).
 *
 * @param output - Float tensor; a scalar unless `outputGradient` is given.
 * @param wrt - Float tensors to differentiate by.
 * @param outputGradient - Shaped like `output`; default 1 for a scalar.
 * @param options - `kept`: values between which what the gradients need is computed a second time and not held, such as the
 *   outputs of blocks; default none, and all is held.
 * @returns One tensor of its shape for each of `wrt`, or `undefined` where the output does not depend on it
 *   differentiably ("no gradient", which is not the same as zero).
 * @throws GraphError when the output is no scalar and has no `outputGradient`, or types are not float.
 *
 * @example
 * const [dw] = gradients(loss, [w]);
 * const [hv] = gradients(reduceSum(mul(dw, v)), [w]); // Hessian-vector product
 */
export function gradients(
  output: Tensor,
  wrt: readonly Tensor[],
  outputGradient?: Tensor,
  { kept = [] }: { kept?: readonly Tensor[] } = {},
): (Tensor | undefined)[] {
  for (const tensor of [output, ...wrt]) {
    if (!isFloat(tensor.dtype)) throw new GraphError(`gradients: expected float tensors, got ${tensor}`);
  }
  if (!outputGradient && output.size !== 1) {
    throw new GraphError(`gradients: expected a scalar output or an output gradient, got ${output}`);
  }
  if (outputGradient && !sameShape(outputGradient.shape, output.shape)) {
    throw new GraphError(`gradients: expected an output gradient shaped like ${output}, got ${outputGradient}`);
  }

  const nodes = ancestors([output]);
  const recomputation = new Recomputation(kept, nodes);
  const asked = new Set(wrt);
  const onPath = new Set<Tensor>(wrt);
  for (const node of nodes) {
    if (!node.inputs.some((input) => input && onPath.has(input))) continue;
    for (const result of node.outputs) if (isFloat(result.dtype)) onPath.add(result);
  }

  const known = new Map<Tensor, Tensor>();
  const seed = outputGradient ?? reshape(output.graph.scalar(1, output.dtype), output.shape);
  if (onPath.has(output)) known.set(output, seed);
  for (const node of nodes.reverse()) {
    const received = node.outputs.map((result) => (onPath.has(result) ? known.get(result) : undefined));
    if (received.every((g) => !g) || !node.inputs.some((input) => input && onPath.has(input))) continue;
    const rule = rules[node.op] as GradientRule<OpType>;
    const given = recomputation.replay(node, received);
    const found = rule(given as GradientNode<OpType>, received as unknown as OutputGradients);
    node.inputs.forEach((input, index) => {
      const g = found[index];
      if (!input || !g || !onPath.has(input)) return;
      const own = sumToShape(g, input.shape);
      const sofar = known.get(input);
      const sum = sofar ? add(sofar, own) : own;
      known.set(input, sum);
      if (asked.has(input)) recomputation.found(input, sum);
    });
  }
  return wrt.map((tensor) => known.get(tensor));
}

/** Undoes broadcasting: sums the axes that were added or stretched. */
function sumToShape(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const added = g.rank - shape.length;
  const axes = g.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < added || (shape[axis - added] === 1 && g.shape[axis] !== 1));
  return reshape(reduceSum(g, { axes, keepDims: true }), shape);
}
