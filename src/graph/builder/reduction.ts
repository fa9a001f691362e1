import type { Tensor } from '../graph.js';
import { mul, sub } from './elementwise.js';
import { resolveAxis } from './movement.js';

/** Which axes a reduction runs over. */
export interface ReductionOptions {
  /** Axes to reduce, negative ones from the end; default all. */
  axes?: readonly number[];
  /** Whether reduced axes stay with length 1; default false. */
  keepDims?: boolean;
}

type Reduce = 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin';

function reduce(op: Reduce, x: Tensor, { axes, keepDims = false }: ReductionOptions): Tensor {
  const resolved = (axes ?? x.shape.map((_, axis) => axis))
    .map((axis) => resolveAxis(axis, x.rank))
    .sort((a, b) => a - b);
  return resolved.length === 0 ? x : x.graph.apply(op, [x], { axes: resolved, keepDims })[0];
}

/** Sum over axes (0 for an empty axis). */
export function reduceSum(x: Tensor, options: ReductionOptions = {}): Tensor {
  return reduce('ReduceSum', x, options);
}

/** Mean over axes. */
export function reduceMean(x: Tensor, options: ReductionOptions = {}): Tensor {
  return reduce('ReduceMean', x, options);
}

/** Largest element over axes; equal largest elements share the gradient, as in PyTorch's `amax`. */
export function reduceMax(x: Tensor, options: ReductionOptions = {}): Tensor {
  return reduce('ReduceMax', x, options);
}

/** Smallest element over axes; equal smallest elements share the gradient, as in PyTorch's `amin`. */
export function reduceMin(x: Tensor, options: ReductionOptions = {}): Tensor {
  return reduce('ReduceMin', x, options);
}

/** Population variance over axes (divided by n, not n − 1). */
export function variance(x: Tensor, options: ReductionOptions = {}): Tensor {
  const centred = sub(x, reduceMean(x, { ...options, keepDims: true }));
  return reduceMean(mul(centred, centred), options);
}

/** Position of the largest element along an axis, int64, the first where several are equal. */
export function argMax(x: Tensor, axis: number, { keepDims = false }: { keepDims?: boolean } = {}): Tensor {
  return x.graph.apply('ArgMax', [x], { axis: resolveAxis(axis, x.rank), keepDims })[0];
}

/** `e^x / Σ e^x` along an axis (default the last). */
export function softmax(x: Tensor, axis = -1): Tensor {
  return x.graph.apply('Softmax', [x], { axis: resolveAxis(axis, x.rank) })[0];
}

/** `x − log Σ e^x` along an axis (default the last). */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return x.graph.apply('LogSoftmax', [x], { axis: resolveAxis(axis, x.rank) })[0];
}
