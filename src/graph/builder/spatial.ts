import type { Tensor } from '../graph.js';
import type { Window } from '../ops.js';
import { less, where } from './elementwise.js';
import { reshape, slice, split, transpose } from './movement.js';
import { reduceMax, reduceMean } from './reduction.js';
import { type ConvOptions, perAxis, window } from './window.js';

/** Geometry of a pool; a number stands for all spatial axes. */
export interface PoolOptions extends Omit<ConvOptions, 'groups'> {
  /** Length of the window. */
  kernel: number | readonly number[];
  /** Whether a last, partly filled window counts; default false. */
  ceilMode?: boolean;
}

interface Pool {
  x: Tensor;
  attributes: Window & { kernelShape: readonly number[]; ceilMode: boolean };
}

/**
 * A last window that would start in the end padding is dropped (as in PyTorch), but ONNX Runtime computes it in some of
 * its pool kernels: what no window reaches is cut off, so that there is none.
 */
function pool(x: Tensor, { kernel, ceilMode = false, ...options }: PoolOptions): Pool {
  const rank = x.rank - 2;
  const { strides, pads: wanted, dilations } = window(rank, { stride: kernel, ...options });
  const kernelShape = perAxis(kernel, rank);
  if (!ceilMode) return { x, attributes: { strides, pads: wanted, dilations, kernelShape, ceilMode } };
  const pads = [...wanted];
  const cut = kernelShape.map((taps, axis) => {
    const length = x.shape[axis + 2];
    const rest = length + pads[axis] + pads[axis + rank] - dilations[axis] * (taps - 1) - 1;
    const dropped = rest > 0 && Math.ceil(rest / strides[axis]) * strides[axis] >= length + pads[axis];
    const surplus = dropped ? rest % strides[axis] : 0;
    const fromPadding = Math.min(surplus, pads[axis + rank]);
    pads[axis + rank] -= fromPadding;
    return { axis: axis + 2, end: length - (surplus - fromPadding) };
  });
  return { x: slice(x, cut), attributes: { strides, pads, dilations, kernelShape, ceilMode } };
}

/** Largest element of each window; the stride defaults to the window's length. The first of equal elements gets the gradient. */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  const { x: reached, attributes } = pool(x, options);
  const { kernelShape, strides, pads, dilations } = attributes;
  const byPairs =
    x.rank === 4 &&
    [...kernelShape, ...strides].every((length) => length === 2) &&
    pads.every((count) => count === 0) &&
    dilations.every((spacing) => spacing === 1) &&
    x.size > 0 &&
    x.shape.slice(2).every((length) => length % 2 === 0);
  return byPairs ? maxOfQuarters(x) : x.graph.apply('MaxPool', [reached], attributes)[0];
}

/**
 * The larger elements of two tensors, flat; of equal ones the first gets the gradient. Flat, because ONNX Runtime chooses
 * by rows otherwise, and short ones are slow (6,144 × 12: 0.25 ms, flat 0.03).
 */
function firstLargest([first, second]: readonly Tensor[]): Tensor {
  const [a, b] = [reshape(first, [first.size]), reshape(second, [second.size])];
  return where(less(a, b), b, a);
}

/**
 * The max pool with 2×2 windows, `[batch, channels, even, even]`, by comparing pairs of columns, then of rows (in this
 * order the first of equal elements is the first by rows, as in MaxPool). With its gradient it takes less than half of the
 * time of MaxPool, whose kernel runs element by element (64×8×24×24, one thread: 0.45 ms for 1.1).
 */
function maxOfQuarters(x: Tensor): Tensor {
  const [batch, channels, height, width] = x.shape;
  const columns = firstLargest(split(transpose(reshape(x, [x.size / 2, 2])), [1, 1], 0));
  const rows = split(reshape(columns, [(batch * channels * height) / 2, 2, width / 2]), [1, 1], 1);
  return reshape(firstLargest(rows), [batch, channels, height / 2, width / 2]);
}

/** Mean of each window; the stride defaults to the window's length, padding counts (as in PyTorch) unless told otherwise. */
export function averagePool(
  x: Tensor,
  { countIncludePad = true, ...options }: PoolOptions & { countIncludePad?: boolean },
): Tensor {
  const { x: reached, attributes } = pool(x, options);
  return x.graph.apply('AveragePool', [reached], { ...attributes, countIncludePad })[0];
}

/** Mean over all spatial axes: `[batch, channels, 1, …]`. */
export function globalAveragePool(x: Tensor): Tensor {
  return reduceMean(x, { axes: x.shape.map((_, axis) => axis).slice(2), keepDims: true });
}

/** Largest element over all spatial axes: `[batch, channels, 1, …]`; equal largest elements share the gradient. */
export function globalMaxPool(x: Tensor): Tensor {
  return reduceMax(x, { axes: x.shape.map((_, axis) => axis).slice(2), keepDims: true });
}
