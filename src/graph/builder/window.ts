import type { Shape } from '../dtype.js';
import type { MatrixOps, Window } from '../ops.js';

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

/** A value for each spatial axis. */
export function perAxis(value: number | readonly number[], rank: number): readonly number[] {
  return typeof value === 'number' ? Array<number>(rank).fill(value) : value;
}

/** The window that options describe, with a number of spatial axes. */
export function window(rank: number, { stride = 1, padding = 0, dilation = 1 }: Omit<ConvOptions, 'groups'>): Window {
  const pads = perAxis(padding, rank);
  return {
    strides: perAxis(stride, rank),
    pads: pads.length === 2 * rank ? pads : [...pads, ...pads],
    dilations: perAxis(dilation, rank),
  };
}

/** The number of elements that each window of an average pool divides by, `[...space]`, row-major. */
export function windowCounts(
  input: Shape,
  space: Shape,
  { kernelShape, strides, pads, dilations, countIncludePad }: MatrixOps['AveragePool'],
): Float64Array {
  const rank = kernelShape.length;
  const counts = kernelShape.map((kernel, axis) =>
    Array.from({ length: space[axis] }, (_, position) => {
      let count = 0;
      for (let tap = 0; tap < kernel; tap++) {
        const at = position * strides[axis] - pads[axis] + tap * dilations[axis];
        const [low, high] = countIncludePad ? [-pads[axis], input[axis + 2] + pads[axis + rank]] : [0, input[axis + 2]];
        if (at >= low && at < high) count++;
      }
      return count;
    }),
  );
  return Float64Array.from(counts.reduce((all, axis) => all.flatMap((a) => axis.map((b) => a * b)), [1]));
}
