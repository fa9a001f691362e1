import { broadcastShapes, GraphError, type TensorType } from '../dtype.js';
import type { MatrixOps, OpType, Window } from '../ops.js';
import {
  exactly,
  type InferenceRule,
  type InferenceRules,
  required,
  requireFloat,
  requireRank,
  requireSameDType,
} from './rule.js';

const matMul: InferenceRule<'MatMul'> = (inputs, _attributes, op) => {
  const [a, b] = exactly(op, inputs, 2);
  const dtype = requireSameDType(op, [a, b]);
  if (a.shape.length < 2 || b.shape.length < 2) {
    throw new GraphError(`${op}: expected matrices of rank 2 or more, got ${a} and ${b}`);
  }
  const [m, k] = a.shape.slice(-2);
  const [k2, n] = b.shape.slice(-2);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (k !== k2 || !batch) throw new GraphError(`${op}: expected [..., m, k] and [..., k, n], got ${a} and ${b}`);
  return [{ shape: [...batch, m, n], dtype }];
};

const gemm: InferenceRule<'Gemm'> = (inputs, { transA, transB }, op) => {
  const a = required(op, inputs, 0);
  const b = required(op, inputs, 1);
  const c = inputs[2];
  requireRank(op, a, 2);
  requireRank(op, b, 2);
  const dtype = requireSameDType(op, c ? [a, b, c] : [a, b]);
  const [m, k] = transA ? [a.shape[1], a.shape[0]] : a.shape;
  const [k2, n] = transB ? [b.shape[1], b.shape[0]] : b.shape;
  if (k !== k2) {
    throw new GraphError(
      `${op}: expected inner axes of one length, got ${a} and ${b} (transA ${transA}, transB ${transB})`,
    );
  }
  const shape = [m, n];
  if (c && (c.shape.length > 2 || String(broadcastShapes(shape, c.shape)) !== String(shape))) {
    throw new GraphError(`${op}: expected a C that broadcasts to [${m}, ${n}], got ${c}`);
  }
  return [{ shape, dtype }];
};

function requireImages(
  op: 'Conv' | 'ConvTranspose',
  x: TensorType,
  w: TensorType,
  { strides, pads, dilations, group }: Window & { group: number },
): number {
  requireFloat(op, x);
  if (x.shape.length < 3 || w.shape.length !== x.shape.length) {
    throw new GraphError(`${op}: expected X [batch, channels, ...space] and W of the same rank, got ${x} and ${w}`);
  }
  // ONNX Runtime does not return from a convolution without channels or taps.
  if (w.shape.includes(0)) throw new GraphError(`${op}: expected channels and taps in W, got ${w}`);
  const rank = x.shape.length - 2;
  requireWindow(op, x, rank, { strides, pads, dilations });
  if (!Number.isInteger(group) || group < 1) throw new GraphError(`${op}: expected a group from 1, got ${group}`);
  return rank;
}

function requireWindow(op: OpType, x: TensorType, rank: number, { strides, pads, dilations }: Window): void {
  const whole = (values: readonly number[], count: number, least: number) =>
    values.length === count && values.every((value) => Number.isInteger(value) && value >= least);
  if (!whole(strides, rank, 1) || !whole(dilations, rank, 1) || !whole(pads, 2 * rank, 0)) {
    throw new GraphError(
      `${op}: expected ${rank} strides and dilations from 1 and ${2 * rank} pads from 0 for ${x}, ` +
        `got [${strides}], [${dilations}] and [${pads}]`,
    );
  }
}

const conv: InferenceRule<'Conv'> = (inputs, { strides, pads, dilations, group }, op) => {
  const x = required(op, inputs, 0);
  const w = required(op, inputs, 1);
  const bias = inputs[2];
  requireSameDType(op, bias ? [x, w, bias] : [x, w]);
  const rank = requireImages(op, x, w, { strides, pads, dilations, group });
  const [outChannels, inPerGroup] = w.shape;
  if (x.shape[1] !== inPerGroup * group || outChannels % group !== 0) {
    throw new GraphError(`${op}: expected W [out, in / group, ...kernel] for group ${group}, got ${x} and ${w}`);
  }
  if (bias && String(bias.shape) !== String([outChannels])) {
    throw new GraphError(`${op}: expected a bias [${outChannels}], got ${bias}`);
  }
  const space = Array.from({ length: rank }, (_, axis) => {
    const extent = dilations[axis] * (w.shape[axis + 2] - 1) + 1;
    const padded = x.shape[axis + 2] + pads[axis] + pads[axis + rank];
    if (padded < extent)
      throw new GraphError(`${op}: expected a kernel not larger than the padded input, got ${x} and ${w}`);
    return Math.floor((padded - extent) / strides[axis]) + 1;
  });
  return [{ shape: [x.shape[0], outChannels, ...space], dtype: x.dtype }];
};

const convTranspose: InferenceRule<'ConvTranspose'> = (
  inputs,
  { strides, pads, dilations, group, outputPadding },
  op,
) => {
  const [x, w] = exactly(op, inputs, 2);
  requireSameDType(op, [x, w]);
  const rank = requireImages(op, x, w, { strides, pads, dilations, group });
  const [inChannels, outPerGroup] = w.shape;
  if (x.shape[1] !== inChannels || inChannels % group !== 0) {
    throw new GraphError(`${op}: expected W [in, out / group, ...kernel] for group ${group}, got ${x} and ${w}`);
  }
  const space = Array.from({ length: rank }, (_, axis) => {
    const extent = dilations[axis] * (w.shape[axis + 2] - 1) + 1;
    return strides[axis] * (x.shape[axis + 2] - 1) + outputPadding[axis] + extent - pads[axis] - pads[axis + rank];
  });
  if (space.some((length) => length < 0)) throw new GraphError(`${op}: expected less padding, got ${x} and ${w}`);
  return [{ shape: [x.shape[0], outPerGroup * group, ...space], dtype: x.dtype }];
};

function pooled(op: 'MaxPool' | 'AveragePool'): InferenceRule<'MaxPool' | 'AveragePool'> {
  return (inputs, { kernelShape, strides, pads, dilations, ceilMode }) => {
    const [x] = exactly(op, inputs, 1);
    requireFloat(op, x);
    const rank = kernelShape.length;
    requireRank(op, x, rank + 2);
    requireWindow(op, x, rank, { strides, pads, dilations });
    if (kernelShape.some((length) => !Number.isInteger(length) || length < 1)) {
      throw new GraphError(`${op}: expected window lengths from 1, got [${kernelShape}] for ${x}`);
    }
    const space = kernelShape.map((kernel, axis) => {
      const extent = dilations[axis] * (kernel - 1) + 1;
      const padded = x.shape[axis + 2] + pads[axis] + pads[axis + rank];
      if (padded < extent) throw new GraphError(`${op}: expected a window not larger than the padded input, got ${x}`);
      const steps = (padded - extent) / strides[axis];
      const length = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
      // A window that would start in the end padding is dropped (as PyTorch and ONNX Runtime do).
      return ceilMode && (length - 1) * strides[axis] >= x.shape[axis + 2] + pads[axis] ? length - 1 : length;
    });
    const shape = [x.shape[0], x.shape[1], ...space];
    return op === 'MaxPool'
      ? [
          { shape, dtype: x.dtype },
          { shape, dtype: 'int64' },
        ]
      : [{ shape, dtype: x.dtype }];
  };
}

export const matrixInference: InferenceRules<MatrixOps> = {
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pooled('MaxPool') as InferenceRule<'MaxPool'>,
  AveragePool: pooled('AveragePool') as InferenceRule<'AveragePool'>,
};
