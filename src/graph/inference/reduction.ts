import { GraphError } from '../dtype.js';
import type { OpType, ReductionOps } from '../ops.js';
import {
  exactly,
  type InferenceRule,
  type InferenceRules,
  requireAxis,
  required,
  requireFloat,
  requireSameDType,
} from './rule.js';

function reduce<K extends 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin'>(): InferenceRule<K> {
  return (inputs, { axes, keepDims }, op) => {
    const [x] = exactly(op, inputs, 1);
    for (const axis of axes) requireAxis(op, x, axis);
    if (new Set(axes).size !== axes.length) throw new GraphError(`${op}: expected each axis once, got [${axes}]`);
    if ((op === 'ReduceMax' || op === 'ReduceMin') && axes.some((axis) => x.shape[axis] === 0)) {
      throw new GraphError(`${op}: expected axes that are not empty, got ${x} over [${axes}]`);
    }
    const shape = x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    return [{ shape: keepDims ? shape : shape.filter((_, axis) => !axes.includes(axis)), dtype: x.dtype }];
  };
}

function alongAxis<K extends 'Softmax' | 'LogSoftmax'>(): InferenceRule<K> {
  return (inputs, { axis }, op) => {
    const [x] = exactly(op, inputs, 1);
    requireFloat(op, x);
    requireAxis(op, x, axis);
    return [{ shape: x.shape, dtype: x.dtype }];
  };
}

function requireShape(op: OpType, what: string, shape: readonly number[], expected: readonly number[]): void {
  if (String(shape) !== String(expected)) {
    throw new GraphError(`${op}: expected ${what} of shape [${expected}], got [${shape}]`);
  }
}

const layerNormalization: InferenceRule<'LayerNormalization'> = (inputs, { axis }, op) => {
  const x = required(op, inputs, 0);
  const scale = required(op, inputs, 1);
  const bias = inputs[2];
  requireFloat(op, x);
  requireAxis(op, x, axis);
  requireSameDType(op, bias ? [x, scale, bias] : [x, scale]);
  requireShape(op, 'a scale', scale.shape, x.shape.slice(axis));
  if (bias) requireShape(op, 'a bias', bias.shape, x.shape.slice(axis));
  const statistics = { shape: x.shape.map((length, index) => (index < axis ? length : 1)), dtype: x.dtype };
  return [{ shape: x.shape, dtype: x.dtype }, statistics, statistics];
};

const rmsNormalization: InferenceRule<'RMSNormalization'> = (inputs, { axis }, op) => {
  const [x, scale] = exactly(op, inputs, 2);
  requireFloat(op, x);
  requireAxis(op, x, axis);
  requireSameDType(op, [x, scale]);
  requireShape(op, 'a scale', scale.shape, x.shape.slice(axis));
  return [{ shape: x.shape, dtype: x.dtype }];
};

const batchNormalization: InferenceRule<'BatchNormalization'> = (inputs, _attributes, op) => {
  const [x, ...perChannel] = exactly(op, inputs, 5);
  requireFloat(op, x);
  requireAxis(op, x, 1);
  requireSameDType(op, [x, ...perChannel]);
  for (const tensor of perChannel) requireShape(op, 'scale, bias, mean and variance', tensor.shape, [x.shape[1]]);
  return [{ shape: x.shape, dtype: x.dtype }];
};

export const reductionInference: InferenceRules<ReductionOps> = {
  ReduceSum: reduce(),
  ReduceMean: reduce(),
  ReduceMax: reduce(),
  ReduceMin: reduce(),
  ArgMax: (inputs, { axis, keepDims }, op) => {
    const [x] = exactly(op, inputs, 1);
    requireAxis(op, x, axis);
    if (x.shape[axis] === 0) throw new GraphError(`${op}: expected an axis that is not empty, got ${x} over ${axis}`);
    const shape = keepDims ? x.shape.map((n, i) => (i === axis ? 1 : n)) : x.shape.filter((_, i) => i !== axis);
    return [{ shape, dtype: 'int64' }];
  },
  Softmax: alongAxis(),
  LogSoftmax: alongAxis(),
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  BatchNormalization: batchNormalization,
};
