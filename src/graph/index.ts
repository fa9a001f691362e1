export * from './builder/index.js';
export { runnableInDouble } from './double/index.js';
export {
  allocate,
  broadcastShapes,
  type DType,
  type FloatArray,
  type FloatType,
  GraphError,
  type Shape,
  sameShape,
  sizeOf,
  type TensorType,
  type TypedArray,
  typedArray,
} from './dtype.js';
export { flops } from './flops.js';
export { gradients } from './gradients/index.js';
export { ancestors, Graph, type Node, type Source, Tensor } from './graph.js';
export { mostHeld } from './held.js';
export { toOnnx } from './onnx.js';
export type { OpType } from './ops.js';
export { type HalfType, rounded } from './rounded.js';
export { type ScaleSymmetries, scaleSymmetries } from './scaling/index.js';
export { substituted } from './substituted.js';
