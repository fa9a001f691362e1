import { sameShape } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { Window } from '../ops.js';
import { less, where } from './elementwise.js';
import { gemm } from './matrix.js';
import { reshape, slice, split, transpose } from './movement.js';
import { reduceMax, reduceMean } from './reduction.js';
import { selectTaps } from './taps.js';

/** Geometry of a convolution; a number stands for all spatial axes. */
export interface ConvOptions {
  /** Step; default 1. */
  stride?: number | readonly number[];
  /** Zero padding on both sides of each spatial axis; or begins then ends as ONNX's `pads`. Default 0. */
  padding?: number | readonly number[];
  /** Spacing of the kernel's taps; default 1. */
  dilation?: number | readonly number[];
  /** Number of channel groups; default 1. */
  groups?: number;
}

/** Geometry of a pool; a number stands for all spatial axes. */
export interface PoolOptions extends Omit<ConvOptions, 'groups'> {
  /** Length of the window. */
  kernel: number | readonly number[];
  /** Whether a last, partly filled window counts; default false. */
  ceilMode?: boolean;
}

function perAxis(value: number | readonly number[], rank: number): readonly number[] {
  return typeof value === 'number' ? Array<number>(rank).fill(value) : value;
}

function window(rank: number, { stride = 1, padding = 0, dilation = 1 }: Omit<ConvOptions, 'groups'>): Window {
  const pads = perAxis(padding, rank);
  return {
    strides: perAxis(stride, rank),
    pads: pads.length === 2 * rank ? pads : [...pads, ...pads],
    dilations: perAxis(dilation, rank),
  };
}

/**
 * Cross-correlation, as PyTorch's `conv1d`, `conv2d`, `conv3d`.
 *
 * @param x - `[batch, in, ...space]`.
 * @param w - `[out, in / groups, ...kernel]`.
 * @param bias - `[out]`.
 * @returns `[batch, out, ...space']`.
 */
export function conv(x: Tensor, w: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
  const attributes = { ...window(x.rank - 2, options), group: options.groups ?? 1 };
  const { kernel, pads } = withoutPaddingTaps(x, w, attributes);
  if (
    attributes.group === 1 &&
    x.size > 0 &&
    sameShape(kernel.shape.slice(1), x.shape.slice(1)) &&
    pads.every((n) => n === 0)
  ) {
    // One window over all of the input is a matrix product (32×512×2×2 to 512 channels: 1.2 ms as Conv, 0.2 so).
    const flat = (tensor: Tensor) => reshape(tensor, [tensor.shape[0], x.size / x.shape[0]]);
    const product = gemm(flat(x), flat(kernel), bias, { transB: true });
    return reshape(product, [x.shape[0], w.shape[0], ...x.shape.slice(2).map(() => 1)]);
  }
  return x.graph.apply('Conv', bias ? [x, kernel, bias] : [x, kernel], { ...attributes, pads })[0];
}

/**
 * The kernel without the outer taps that meet padding only, wherever the window stands, and the padding that is left. Small
 * maps have many of them: of a 3×3 kernel on 1×1 with padding 1, eight of nine.
 */
function withoutPaddingTaps(
  x: Tensor,
  w: Tensor,
  { strides, pads, dilations }: Window,
): { kernel: Tensor; pads: readonly number[] } {
  const rank = x.rank - 2;
  const left = [...pads];
  const living = strides.map((stride, axis) => {
    const [length, taps] = [x.shape[axis + 2], w.shape[axis + 2]];
    const range = { axis: axis + 2, start: 0, end: taps };
    if (dilations[axis] !== 1 || length === 0 || taps > length + pads[axis] + pads[axis + rank]) return range;
    const last = Math.floor((length + pads[axis] + pads[axis + rank] - taps) / stride) * stride - pads[axis];
    range.start = Math.max(0, -last);
    range.end = Math.min(taps, length + pads[axis]);
    left[axis] -= range.start;
    left[axis + rank] -= taps - range.end;
    return range;
  });
  // Windows that meet padding only have no tap that lives.
  if (living.some(({ start, end }) => start >= end)) return { kernel: w, pads };
  const picks = living
    .map(({ start, end }) => Array.from({ length: end - start }, (_, tap) => start + tap))
    .reduce((all, along, axis) => all.flatMap((tap) => along.map((next) => tap * w.shape[axis + 2] + next)), [0]);
  const kernel = selectTaps(
    w,
    living.map(({ start, end }) => end - start),
    picks,
  );
  return { kernel, pads: left };
}

/**
 * The transpose of {@link conv} as a linear map, as PyTorch's `conv_transpose2d`.
 *
 * @param x - `[batch, in, ...space]`.
 * @param w - `[in, out / groups, ...kernel]`.
 */
export function convTranspose(
  x: Tensor,
  w: Tensor,
  { outputPadding = 0, groups = 1, ...options }: ConvOptions & { outputPadding?: number | readonly number[] } = {},
): Tensor {
  const rank = x.rank - 2;
  const attributes = { ...window(rank, options), group: groups, outputPadding: perAxis(outputPadding, rank) };
  return x.graph.apply('ConvTranspose', [x, w], attributes)[0];
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
