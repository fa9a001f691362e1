import type { Node, Tensor } from '../graph.js';
import type { ElementwiseOps, MatrixOps, MovementOps, OpType, ReductionOps } from '../ops.js';
import type { ScaleRule, ScaleRules } from './rule.js';
import { combine, fixed, type Scale, times } from './system.js';

const at = (inputs: readonly (Scale | undefined)[], index: number): Scale => inputs[index] ?? 'zero';

/** f(c·x) = c·f(x): the output scales as the input. */
const homogeneous: ScaleRule<OpType> = (inputs) => at(inputs, 0);
/** The output scales as all inputs, which must scale alike. */
const alike: ScaleRule<OpType> = (inputs, _node, system) =>
  system.equateAll(inputs.filter((input) => input !== undefined));
/** Neither homogeneous nor invariant: the inputs must not be rescaled. */
const fixing: ScaleRule<OpType> = (inputs, _node, system) => {
  for (const input of inputs) if (input !== undefined) system.fix(input);
  return fixed;
};
/** The output stays the same where both inputs scale alike. */
const comparison: ScaleRule<OpType> = (inputs, _node, system) => {
  system.equateAll([at(inputs, 0), at(inputs, 1)]);
  return fixed;
};
/** The output stays the same whatever positive factor the input has. */
const invariant: ScaleRule<OpType> = () => fixed;
/** Bilinear, and a bias that must scale as the product. */
const product: ScaleRule<OpType> = (inputs, _node, system) =>
  system.equate(combine(at(inputs, 0), at(inputs, 1)), at(inputs, 2));

/** The value of a constant of one element. */
function constantValue(tensor: Tensor | undefined): number | undefined {
  return tensor?.source.kind === 'constant' && tensor.size === 1 ? Number(tensor.source.values[0]) : undefined;
}

export const elementwiseScales: ScaleRules<ElementwiseOps> = {
  Add: alike,
  Sub: alike,
  Max: alike,
  Min: alike,
  Mul: product,
  Div: (inputs) => combine(at(inputs, 0), at(inputs, 1), -1),
  Pow: (inputs, node, system) => {
    const exponent = constantValue(node.inputs[1]);
    return exponent === undefined ? fixing(inputs, node as Node, system) : times(at(inputs, 0), exponent);
  },
  Equal: comparison,
  Less: comparison,
  LessOrEqual: comparison,
  Greater: comparison,
  GreaterOrEqual: comparison,
  And: invariant,
  Or: invariant,
  Not: invariant,
  Where: (inputs, _node, system) => system.equateAll([at(inputs, 1), at(inputs, 2)]),
  Neg: homogeneous,
  Abs: homogeneous,
  Relu: homogeneous,
  Cast: homogeneous,
  Sign: invariant,
  Sqrt: (inputs) => times(at(inputs, 0), 0.5),
  Reciprocal: (inputs) => times(at(inputs, 0), -1),
  Exp: fixing,
  Log: fixing,
  Sin: fixing,
  Cos: fixing,
  Sigmoid: fixing,
  Tanh: fixing,
  Erf: fixing,
  Gelu: fixing,
};

export const matrixScales: ScaleRules<MatrixOps> = {
  MatMul: product,
  Gemm: product,
  Conv: product,
  ConvTranspose: product,
  MaxPool: homogeneous,
  AveragePool: homogeneous,
};

export const reductionScales: ScaleRules<ReductionOps> = {
  ReduceSum: homogeneous,
  ReduceMean: homogeneous,
  ReduceMax: homogeneous,
  ReduceMin: homogeneous,
  ArgMax: invariant,
  Softmax: fixing,
  LogSoftmax: fixing,
  // Its ε makes it not quite invariant, so the input stays; scale and bias determine the output.
  LayerNormalization: (inputs, _node, system) => {
    system.fix(at(inputs, 0));
    return system.equate(at(inputs, 1), at(inputs, 2));
  },
  RMSNormalization: (inputs, _node, system) => {
    system.fix(at(inputs, 0));
    return at(inputs, 1);
  },
  // (x − mean) / √(var + ε) · scale + bias: the statistics scale with x, var + ε with its square (see ScaleSymmetries.variances).
  BatchNormalization: (inputs, _node, system) => {
    system.equateAll([at(inputs, 0), at(inputs, 3), times(at(inputs, 4), 0.5)]);
    return system.equate(at(inputs, 1), at(inputs, 2));
  },
};

export const movementScales: ScaleRules<MovementOps> = {
  Transpose: homogeneous,
  Reshape: homogeneous,
  Expand: homogeneous,
  Slice: homogeneous,
  Split: homogeneous,
  Gather: homogeneous,
  GatherElements: homogeneous,
  Concat: alike,
  Pad: (inputs, { attributes: { value } }, system) => {
    if (value !== 0) system.fix(at(inputs, 0));
    return at(inputs, 0);
  },
  ScatterElements: (inputs, _node, system) => system.equateAll([at(inputs, 0), at(inputs, 2)]),
};
