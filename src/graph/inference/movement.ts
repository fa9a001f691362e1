import { broadcastShapes, GraphError, sameShape, sizeOf, type TensorType } from '../dtype.js';
import type { MovementOps, OpType } from '../ops.js';
import {
  exactly,
  type InferenceRule,
  type InferenceRules,
  requireAxis,
  required,
  requireIndices,
  requireSameDType,
} from './rule.js';

const transpose: InferenceRule<'Transpose'> = (inputs, { perm }, op) => {
  const [x] = exactly(op, inputs, 1);
  if (String([...perm].sort((a, b) => a - b)) !== String(x.shape.map((_, axis) => axis))) {
    throw new GraphError(`${op}: expected a permutation of the axes of ${x}, got [${perm}]`);
  }
  return [{ shape: perm.map((axis) => x.shape[axis]), dtype: x.dtype }];
};

const reshape: InferenceRule<'Reshape'> = (inputs, { shape }, op) => {
  const [x] = exactly(op, inputs, 1);
  const whole = shape.every((length) => Number.isInteger(length) && length >= 0);
  if (!whole || sizeOf(shape) !== sizeOf(x.shape)) {
    throw new GraphError(`${op}: expected a shape of ${sizeOf(x.shape)} elements for ${x}, got [${shape}]`);
  }
  return [{ shape, dtype: x.dtype }];
};

const expand: InferenceRule<'Expand'> = (inputs, { shape }, op) => {
  const [x] = exactly(op, inputs, 1);
  const result = broadcastShapes(x.shape, shape);
  if (!result || !sameShape(result, shape))
    throw new GraphError(`${op}: expected a shape that ${x} broadcasts to, got [${shape}]`);
  return [{ shape, dtype: x.dtype }];
};

const slice: InferenceRule<'Slice'> = (inputs, { starts, ends, axes, steps }, op) => {
  const [x] = exactly(op, inputs, 1);
  const shape = [...x.shape];
  if (new Set(axes).size !== axes.length) throw new GraphError(`${op}: expected each axis of ${x} once, got [${axes}]`);
  axes.forEach((axis, i) => {
    requireAxis(op, x, axis);
    const length = x.shape[axis];
    // The builder clamps; an end of -1 stands for "before the first" when the step is negative.
    const first = starts[i];
    const whole = [first, ends[i], steps[i]].every((value) => Number.isInteger(value));
    const legal = steps[i] > 0 ? first >= 0 && first <= ends[i] && ends[i] <= length : first < length && ends[i] >= -1;
    if (!whole || steps[i] === 0 || !legal) {
      throw new GraphError(
        `${op}: expected a range inside axis ${axis} of ${x}, got ${first} to ${ends[i]} by ${steps[i]}`,
      );
    }
    shape[axis] = Math.max(0, Math.ceil((ends[i] - first) / steps[i]));
  });
  return [{ shape, dtype: x.dtype }];
};

const pad: InferenceRule<'Pad'> = (inputs, { pads }, op) => {
  const [x] = exactly(op, inputs, 1);
  const rank = x.shape.length;
  if (pads.length !== 2 * rank || pads.some((count) => !Number.isInteger(count) || count < 0)) {
    throw new GraphError(`${op}: expected ${2 * rank} counts from 0 for ${x}, got [${pads}]`);
  }
  return [{ shape: x.shape.map((length, axis) => length + pads[axis] + pads[axis + rank]), dtype: x.dtype }];
};

const concat: InferenceRule<'Concat'> = (inputs, { axis }, op) => {
  const first = required(op, inputs, 0);
  const tensors = inputs.map((_, index) => required(op, inputs, index));
  requireAxis(op, first, axis);
  const dtype = requireSameDType(op, tensors);
  for (const tensor of tensors) {
    if (tensor.shape.length !== first.shape.length || tensor.shape.some((n, i) => i !== axis && n !== first.shape[i])) {
      throw new GraphError(`${op}: expected equal shapes but for axis ${axis}, got ${tensors.join(' and ')}`);
    }
  }
  const total = tensors.reduce((sum, tensor) => sum + tensor.shape[axis], 0);
  return [{ shape: first.shape.map((length, i) => (i === axis ? total : length)), dtype }];
};

const split: InferenceRule<'Split'> = (inputs, { axis, sizes }, op) => {
  const [x] = exactly(op, inputs, 1);
  requireAxis(op, x, axis);
  if (sizes.some((size) => !Number.isInteger(size) || size < 0) || sizes.reduce((a, b) => a + b, 0) !== x.shape[axis]) {
    throw new GraphError(`${op}: expected sizes that add up to axis ${axis} of ${x}, got [${sizes}]`);
  }
  return sizes.map((size) => ({ shape: x.shape.map((n, i) => (i === axis ? size : n)), dtype: x.dtype }));
};

const gather: InferenceRule<'Gather'> = (inputs, { axis }, op) => {
  const [data, indices] = exactly(op, inputs, 2);
  requireAxis(op, data, axis);
  requireIndices(op, indices);
  return [
    { shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)], dtype: data.dtype },
  ];
};

function requireElementIndices(op: OpType, data: TensorType, indices: TensorType, axis: number): void {
  requireAxis(op, data, axis);
  requireIndices(op, indices);
  const fits =
    indices.shape.length === data.shape.length && indices.shape.every((n, i) => i === axis || n <= data.shape[i]);
  if (!fits) throw new GraphError(`${op}: expected indices that lie within ${data} off axis ${axis}, got ${indices}`);
}

export const movementInference: InferenceRules<MovementOps> = {
  Transpose: transpose,
  Reshape: reshape,
  Expand: expand,
  Slice: slice,
  Pad: pad,
  Concat: concat,
  Split: split,
  Gather: gather,
  GatherElements: (inputs, { axis }, op) => {
    const [data, indices] = exactly(op, inputs, 2);
    requireElementIndices(op, data, indices, axis);
    return [{ shape: indices.shape, dtype: data.dtype }];
  },
  ScatterElements: (inputs, { axis }, op) => {
    const [data, indices, updates] = exactly(op, inputs, 3);
    requireElementIndices(op, data, indices, axis);
    requireSameDType(op, [data, updates]);
    if (!sameShape(indices.shape, updates.shape)) {
      throw new GraphError(`${op}: expected updates shaped like the indices, got ${indices} and ${updates}`);
    }
    return [{ shape: data.shape, dtype: data.dtype }];
  },
};
