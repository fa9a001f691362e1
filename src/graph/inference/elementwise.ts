import { broadcastShapes, type DType, GraphError, type TensorType } from '../dtype.js';
import type { ElementwiseOps, OpType } from '../ops.js';
import { exactly, type InferenceRule, type InferenceRules, requireFloat, requireSameDType } from './rule.js';

function broadcast(op: OpType, inputs: readonly TensorType[]): readonly number[] {
  return inputs
    .map((input) => input.shape)
    .reduce((a, b) => {
      const shape = broadcastShapes(a, b);
      if (!shape) throw new GraphError(`${op}: expected shapes that broadcast, got ${inputs.join(' and ')}`);
      return shape;
    });
}

function binary<K extends OpType>(result?: DType): InferenceRule<K> {
  return (inputs, _attributes, op) => {
    const pair = exactly(op, inputs, 2);
    const dtype = requireSameDType(op, pair);
    return [{ shape: broadcast(op, pair), dtype: result ?? dtype }];
  };
}

function logical<K extends OpType>(count: number): InferenceRule<K> {
  return (inputs, _attributes, op) => {
    const tensors = exactly(op, inputs, count);
    for (const tensor of tensors)
      if (tensor.dtype !== 'bool') throw new GraphError(`${op}: expected bool, got ${tensor}`);
    return [{ shape: broadcast(op, tensors), dtype: 'bool' }];
  };
}

function unary<K extends OpType>(floatOnly = true): InferenceRule<K> {
  return (inputs, _attributes, op) => {
    const [x] = exactly(op, inputs, 1);
    if (floatOnly) requireFloat(op, x);
    return [{ shape: x.shape, dtype: x.dtype }];
  };
}

export const elementwiseInference: InferenceRules<ElementwiseOps> = {
  Add: binary(),
  Sub: binary(),
  Mul: binary(),
  Div: binary(),
  Pow: binary(),
  Max: binary(),
  Min: binary(),
  Equal: binary('bool'),
  Less: binary('bool'),
  LessOrEqual: binary('bool'),
  Greater: binary('bool'),
  GreaterOrEqual: binary('bool'),
  And: logical(2),
  Or: logical(2),
  Not: logical(1),
  Where: (inputs, _attributes, op) => {
    const [condition, a, b] = exactly(op, inputs, 3);
    if (condition.dtype !== 'bool') throw new GraphError(`${op}: expected a bool condition, got ${condition}`);
    const dtype = requireSameDType(op, [a, b]);
    return [{ shape: broadcast(op, [condition, a, b]), dtype }];
  },
  Neg: unary(false),
  Abs: unary(false),
  Sign: unary(false),
  Exp: unary(),
  Log: unary(),
  Sqrt: unary(),
  Reciprocal: unary(),
  Sin: unary(),
  Cos: unary(),
  Relu: unary(),
  Sigmoid: unary(),
  Tanh: unary(),
  Erf: unary(),
  Gelu: unary(),
  Cast: (inputs, { to }, op) => {
    const [x] = exactly(op, inputs, 1);
    return [{ shape: x.shape, dtype: to }];
  },
};
