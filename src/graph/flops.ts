import { sizeOf } from './dtype.js';
import { ancestors, type Node, type Tensor } from './graph.js';
import type { ElementwiseOps, MatrixOps, MovementOps, OpAttributes, OpType, ReductionOps } from './ops.js';

/** Floating-point operations of one application of an operator. */
type FlopRule<K extends OpType> = (node: Node<K>) => number;

type FlopRules<Ops extends Partial<OpAttributes>> = { readonly [K in keyof Ops & OpType]: FlopRule<K> };

/** What rules look at that hold for many operators. */
type Sides = Pick<Node, 'inputs' | 'outputs'>;

/** One for each element of the result, however long a function of it takes. */
const each = ({ outputs: [y] }: Sides): number => y.size;
/** Nothing: bits and elements are moved or chosen. */
const nothing = (): number => 0;
/** So many for each element of the input. */
const eachOfInput =
  (count: number) =>
  ({ inputs: [x] }: Sides): number =>
    count * (x?.size ?? 0);

const elementwise: FlopRules<ElementwiseOps> = {
  ...{ Add: each, Sub: each, Mul: each, Div: each, Pow: each, Max: each, Min: each },
  ...{ Equal: each, Less: each, LessOrEqual: each, Greater: each, GreaterOrEqual: each },
  ...{ And: nothing, Or: nothing, Not: nothing, Where: nothing, Cast: nothing },
  ...{ Neg: each, Abs: each, Sign: each, Exp: each, Log: each, Sqrt: each, Reciprocal: each, Sin: each, Cos: each },
  ...{ Relu: each, Sigmoid: each, Tanh: each, Erf: each, Gelu: each },
};

/** Multiplications and additions of a convolution: each element of one side meets each tap of the channels of its group. */
function convolution({ inputs: [, kernel, bias], outputs: [y] }: Sides, side: Tensor): number {
  const taps = kernel ? sizeOf(kernel.shape.slice(1)) : 0;
  return 2 * side.size * taps + (bias ? y.size : 0);
}

/** A comparison or addition for each tap of each window. */
const pool = ({ outputs: [y], attributes }: Node<'MaxPool'> | Node<'AveragePool'>): number =>
  y.size * sizeOf(attributes.kernelShape);

const matrix: FlopRules<MatrixOps> = {
  MatMul: ({ inputs: [a], outputs: [y] }) => 2 * y.size * (a?.shape.at(-1) ?? 0),
  Gemm: ({ inputs: [a, , c], outputs: [y], attributes: { transA, alpha, beta } }) =>
    y.size * (2 * (a?.shape[transA ? 0 : 1] ?? 0) + (alpha === 1 ? 0 : 1) + (c ? (beta === 1 ? 1 : 2) : 0)),
  Conv: (node) => convolution(node, node.outputs[0]),
  ConvTranspose: (node) => convolution(node, node.inputs[0] ?? node.outputs[0]),
  MaxPool: pool,
  AveragePool: pool,
};

const reduction: FlopRules<ReductionOps> = {
  ...{ ReduceSum: eachOfInput(1), ReduceMean: eachOfInput(1), ReduceMax: eachOfInput(1), ReduceMin: eachOfInput(1) },
  ArgMax: eachOfInput(1),
  // Largest, difference, exponential, sum, quotient; of the logarithm a second difference in its place.
  Softmax: eachOfInput(5),
  LogSoftmax: eachOfInput(5),
  // Mean, difference, square, its mean, quotient, scale, shift.
  LayerNormalization: eachOfInput(7),
  // Square, its mean, quotient, scale.
  RMSNormalization: eachOfInput(4),
  // Difference, quotient, scale, shift.
  BatchNormalization: eachOfInput(4),
};

const movement: FlopRules<MovementOps> = {
  ...{ Transpose: nothing, Reshape: nothing, Expand: nothing, Slice: nothing, Pad: nothing, Concat: nothing },
  ...{ Split: nothing, Gather: nothing, GatherElements: nothing },
  ScatterElements: ({ inputs: [, , updates], attributes }) =>
    attributes.reduction === 'add' ? (updates?.size ?? 0) : 0,
};

/** One rule for every operator: a missing one does not compile. */
const rules: { readonly [K in OpType]: FlopRule<K> } = { ...elementwise, ...matrix, ...reduction, ...movement };

/**
 * Floating-point operations of one run of the graph that some tensors need, as it is written: a multiplication and an addition
 * each count one, so a product of `[m, k]` and `[k, n]` is 2mkn; every other operator counts one for each element that it
 * computes (an exponential too) or, where it reduces, reads; what moves elements counts nothing.
 *
 * @example flops([loss, ...gradients]) // of a step: forward and backward
 */
export function flops(outputs: readonly Tensor[]): number {
  return ancestors(outputs).reduce((sum, node) => sum + (rules[node.op] as FlopRule<OpType>)(node), 0);
}
