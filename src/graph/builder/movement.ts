import { GraphError, type Shape, sameShape, sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';

/** Counts a negative axis from the end, as NumPy does. */
export function resolveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Reorders the axes; by default reverses them. */
export function transpose(x: Tensor, perm: readonly number[] = x.shape.map((_, axis) => x.rank - 1 - axis)): Tensor {
  if (perm.every((from, to) => from === to) && perm.length === x.rank) return x;
  return x.graph.apply('Transpose', [x], { perm })[0];
}

/** Swaps the last two axes. */
export function matrixTranspose(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

/** The same elements, row-major, in another shape; one axis may be −1 (what remains). */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const rest = shape.reduce((product, length) => (length === -1 ? product : product * length), 1);
  const resolved = shape.map((length) => (length === -1 ? x.size / Math.max(rest, 1) : length));
  return sameShape(resolved, x.shape) ? x : x.graph.apply('Reshape', [x], { shape: resolved })[0];
}

/** Inserts an axis of length 1. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.rank + 1 : axis;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Broadcasts to a larger shape. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return sameShape(shape, x.shape) ? x : x.graph.apply('Expand', [x], { shape })[0];
}

/** One axis of a {@link slice}: from `start` up to but not including `end`, negative positions count from the end. */
export interface Range {
  /** Axis to cut. */
  axis: number;
  /** First position; default the axis' beginning (its end when `step` is negative). */
  start?: number;
  /** Position after the last; default all that is left. */
  end?: number;
  /** Step, negative to run backwards; default 1. */
  step?: number;
}

/** Takes ranges of axes, clamped to the axis as in Python. */
export function slice(x: Tensor, ranges: readonly Range[]): Tensor {
  const resolved = ranges.map(({ axis, start, end, step = 1 }) => {
    const at = resolveAxis(axis, x.rank);
    const length = x.shape[at];
    const position = (value: number, low: number, high: number) =>
      Math.min(Math.max(value < 0 ? value + length : value, low), high);
    if (step > 0) {
      const from = start === undefined ? 0 : position(start, 0, length);
      return {
        axis: at,
        start: from,
        end: Math.max(from, end === undefined ? length : position(end, 0, length)),
        step,
      };
    }
    const from = start === undefined ? length - 1 : position(start, -1, length - 1);
    return { axis: at, start: from, end: Math.min(from, end === undefined ? -1 : position(end, -1, length - 1)), step };
  });
  const kept = resolved.filter(({ axis, start, end, step }) => start !== 0 || end !== x.shape[axis] || step !== 1);
  if (kept.length === 0) return x;
  return x.graph.apply('Slice', [x], {
    starts: kept.map((range) => range.start),
    ends: kept.map((range) => range.end),
    axes: kept.map((range) => range.axis),
    steps: kept.map((range) => range.step),
  })[0];
}

/** Reverses axes. */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  return slice(
    x,
    axes.filter((axis) => x.shape[resolveAxis(axis, x.rank)] > 1).map((axis) => ({ axis, step: -1 })),
  );
}

/** Adds a border of `value` (default 0): counts before all axes, then counts after. */
export function pad(x: Tensor, pads: readonly number[], value = 0): Tensor {
  return pads.every((count) => count === 0) ? x : x.graph.apply('Pad', [x], { pads, value })[0];
}

/** Joins tensors along an axis. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (!first) throw new GraphError('Concat: expected at least one tensor, got none');
  return tensors.length === 1
    ? first
    : first.graph.apply('Concat', tensors, { axis: resolveAxis(axis, first.rank) })[0];
}

/** Cuts a tensor along an axis into parts of the given lengths. */
export function split(x: Tensor, sizes: readonly number[], axis: number): readonly Tensor[] {
  return x.graph.apply('Split', [x], { axis: resolveAxis(axis, x.rank), sizes });
}

/** Rows (or slices along `axis`, default 0) by index: `[...before, ...indices.shape, ...after]`. Indices must be in range. */
export function gather(data: Tensor, indices: Tensor, axis = 0): Tensor {
  return data.graph.apply('Gather', [data, indices], { axis: resolveAxis(axis, data.rank) })[0];
}

/** One element for each index, along `axis`; the result has the indices' shape. */
export function gatherElements(data: Tensor, indices: Tensor, axis: number): Tensor {
  return data.graph.apply('GatherElements', [data, indices], { axis: resolveAxis(axis, data.rank) })[0];
}

/** `data` with `updates` written, or added, at `indices` along `axis`. Without `add`, an index may occur once only. */
export function scatterElements(
  data: Tensor,
  indices: Tensor,
  updates: Tensor,
  { axis, reduction = 'none' }: { axis: number; reduction?: 'none' | 'add' },
): Tensor {
  return data.graph.apply('ScatterElements', [data, indices, updates], {
    axis: resolveAxis(axis, data.rank),
    reduction,
  })[0];
}

/** A tensor of zeros with the shape and type of another. */
export function zerosLike(x: Tensor): Tensor {
  const zero = x.graph.scalar(0, x.dtype);
  return sizeOf(x.shape) === 1 ? reshape(zero, x.shape) : expand(zero, x.shape);
}
