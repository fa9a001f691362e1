import type { DType } from './dtype.js';

/** Window geometry shared by convolutions and pools; spatial axes only, `pads` all begins then all ends as in ONNX. */
export interface Window {
  /** Step of the window, one a spatial axis. */
  strides: readonly number[];
  /** Zero padding: begins of all spatial axes, then ends. */
  pads: readonly number[];
  /** Spacing of the kernel's taps, one a spatial axis. */
  dilations: readonly number[];
}

type None = Record<string, never>;

/** Operators that work element by element, with broadcasting. */
export interface ElementwiseOps {
  Add: None;
  Sub: None;
  Mul: None;
  Div: None;
  Pow: None;
  Max: None;
  Min: None;
  Equal: None;
  Less: None;
  LessOrEqual: None;
  Greater: None;
  GreaterOrEqual: None;
  And: None;
  Or: None;
  Not: None;
  Where: None;
  Neg: None;
  Abs: None;
  Sign: None;
  Exp: None;
  Log: None;
  Sqrt: None;
  Reciprocal: None;
  Sin: None;
  Cos: None;
  Relu: None;
  Sigmoid: None;
  Tanh: None;
  Erf: None;
  Gelu: { approximate: 'none' | 'tanh' };
  Cast: { to: DType };
}

/** Matrix products, convolutions and pools. */
export interface MatrixOps {
  MatMul: None;
  Gemm: { alpha: number; beta: number; transA: boolean; transB: boolean };
  Conv: Window & { group: number };
  ConvTranspose: Window & { group: number; outputPadding: readonly number[] };
  MaxPool: Window & { kernelShape: readonly number[]; ceilMode: boolean };
  AveragePool: Window & { kernelShape: readonly number[]; ceilMode: boolean; countIncludePad: boolean };
}

/** Reductions over axes and normalizations. */
export interface ReductionOps {
  ReduceSum: Reduction;
  ReduceMean: Reduction;
  ReduceMax: Reduction;
  ReduceMin: Reduction;
  ArgMax: { axis: number; keepDims: boolean };
  Softmax: { axis: number };
  LogSoftmax: { axis: number };
  LayerNormalization: { axis: number; epsilon: number };
  RMSNormalization: { axis: number; epsilon: number };
  BatchNormalization: { epsilon: number };
}

/** Operators that move elements and compute nothing. */
export interface MovementOps {
  Transpose: { perm: readonly number[] };
  Reshape: { shape: readonly number[] };
  Expand: { shape: readonly number[] };
  Slice: { starts: readonly number[]; ends: readonly number[]; axes: readonly number[]; steps: readonly number[] };
  Pad: { pads: readonly number[]; value: number };
  Concat: { axis: number };
  Split: { axis: number; sizes: readonly number[] };
  Gather: { axis: number };
  GatherElements: { axis: number };
  ScatterElements: { axis: number; reduction: 'none' | 'add' };
}

interface Reduction {
  axes: readonly number[];
  keepDims: boolean;
}

/**
 * Every operator of the graph and its attributes. Names and meaning are ONNX's (opset 20, and 23 for RMSNormalization); where ONNX takes a static
 * shape, axis list or the like as a constant input, it is an attribute here and becomes that input in the file.
 */
export interface OpAttributes extends ElementwiseOps, MatrixOps, ReductionOps, MovementOps {}

/** The name of an operator. */
export type OpType = keyof OpAttributes;
