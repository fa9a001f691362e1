import type { Window } from '../ops.js';

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
