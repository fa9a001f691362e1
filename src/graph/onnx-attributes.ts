import type { OpAttributes, OpType } from './ops.js';

/** How the attributes of an operator are written: as ONNX attributes, and as constant int64 inputs after the tensors. */
export interface OnnxForm {
  /** ONNX attributes: whole numbers, lists of whole numbers, floats (marked as such), or text. */
  attributes: Record<string, number | readonly number[] | { float: number } | string | undefined>;
  /** Constant inputs in order; a number marked as `scalar` has the element type of the first input. */
  constants?: readonly (readonly number[] | { scalar: number })[];
}

type Writer<K extends OpType> = (attributes: OpAttributes[K]) => OnnxForm;

const plain = (): OnnxForm => ({ attributes: {} });
const axisOnly = ({ axis }: { axis: number }): OnnxForm => ({ attributes: { axis } });
const reduction = ({ axes, keepDims }: OpAttributes['ReduceSum']): OnnxForm => ({
  attributes: { keepdims: Number(keepDims) },
  constants: [axes],
});

/** ONNX's numbers for element types (TensorProto.DataType). */
export const onnxDataType = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const;

const writers: { readonly [K in OpType]: Writer<K> } = {
  Add: plain,
  Sub: plain,
  Mul: plain,
  Div: plain,
  Pow: plain,
  Max: plain,
  Min: plain,
  Equal: plain,
  Less: plain,
  LessOrEqual: plain,
  Greater: plain,
  GreaterOrEqual: plain,
  And: plain,
  Or: plain,
  Not: plain,
  Where: plain,
  Neg: plain,
  Abs: plain,
  Sign: plain,
  Exp: plain,
  Log: plain,
  Sqrt: plain,
  Reciprocal: plain,
  Sin: plain,
  Cos: plain,
  Relu: plain,
  Sigmoid: plain,
  Tanh: plain,
  Erf: plain,
  Gelu: ({ approximate }) => ({ attributes: { approximate } }),
  Cast: ({ to }) => ({ attributes: { to: onnxDataType[to] } }),
  MatMul: plain,
  Gemm: ({ alpha, beta, transA, transB }) => ({
    attributes: { alpha: { float: alpha }, beta: { float: beta }, transA: Number(transA), transB: Number(transB) },
  }),
  Conv: ({ strides, pads, dilations, group }) => ({ attributes: { strides, pads, dilations, group } }),
  ConvTranspose: ({ strides, pads, dilations, group, outputPadding }) => ({
    attributes: { strides, pads, dilations, group, output_padding: outputPadding },
  }),
  MaxPool: ({ kernelShape, strides, pads, dilations, ceilMode }) => ({
    attributes: { kernel_shape: kernelShape, strides, pads, dilations, ceil_mode: Number(ceilMode) },
  }),
  AveragePool: ({ kernelShape, strides, pads, dilations, ceilMode, countIncludePad }) => ({
    attributes: {
      kernel_shape: kernelShape,
      strides,
      pads,
      dilations,
      ceil_mode: Number(ceilMode),
      count_include_pad: Number(countIncludePad),
    },
  }),
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ArgMax: ({ axis, keepDims }) => ({ attributes: { axis, keepdims: Number(keepDims) } }),
  Softmax: axisOnly,
  LogSoftmax: axisOnly,
  LayerNormalization: ({ axis, epsilon }) => ({ attributes: { axis, epsilon: { float: epsilon } } }),
  RMSNormalization: ({ axis, epsilon }) => ({ attributes: { axis, epsilon: { float: epsilon } } }),
  BatchNormalization: ({ epsilon }) => ({ attributes: { epsilon: { float: epsilon } } }),
  Transpose: ({ perm }) => ({ attributes: { perm } }),
  // allowzero: a 0 in the shape is an empty axis, not "copy from the input".
  Reshape: ({ shape }) => ({ attributes: { allowzero: shape.includes(0) ? 1 : undefined }, constants: [shape] }),
  Expand: ({ shape }) => ({ attributes: {}, constants: [shape] }),
  Slice: ({ starts, ends, axes, steps }) => ({
    attributes: {},
    // ONNX counts a negative end from the back: "before the first element" is a number below every axis.
    constants: [starts, ends.map((end) => (end < 0 ? -(2 ** 31) : end)), axes, steps],
  }),
  Pad: ({ pads, value }) => ({ attributes: {}, constants: [pads, { scalar: value }] }),
  Concat: axisOnly,
  Split: ({ axis, sizes }) => ({ attributes: { axis }, constants: [sizes] }),
  Gather: axisOnly,
  GatherElements: axisOnly,
  ScatterElements: ({ axis, reduction: how }) => ({
    attributes: { axis, reduction: how === 'none' ? undefined : how },
  }),
};

/** Every operator. */
export const opTypes = Object.keys(writers) as readonly OpType[];

/** How an operator's attributes are written in an ONNX file. */
export function onnxForm<K extends OpType>(op: K, attributes: OpAttributes[K]): OnnxForm {
  return (writers[op] as Writer<K>)(attributes);
}
