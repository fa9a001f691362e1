import { WeightlockError } from '../registry/index.js';

/** Element types of graph tensors, named as in NumPy; the 16-bit floats only between two casts (see `rounded`). */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int32' | 'int64' | 'bool' | 'uint8';

/** The types that models are computed in. */
export type FloatType = 'float32' | 'float64';

/** The typed arrays that hold a {@link FloatType}. */
export type FloatArray = Float32Array | Float64Array;

/** Axis lengths, outermost first; `[]` is a scalar. An axis may have length 0. */
export type Shape = readonly number[];

/** The typed arrays that hold each {@link DType} (bool as 0 or 1 bytes). */
export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** Shape and element type of a tensor; `toString` names it in messages. */
export interface TensorType {
  /** Axis lengths. */
  readonly shape: Shape;
  /** Element type. */
  readonly dtype: DType;
}

/** A graph was built wrongly; the message names the operator, the shapes and the tensor. */
export class GraphError extends WeightlockError {}

/** Number of elements of a shape (1 for a scalar). */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Whether two shapes are equal axis by axis. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** `float32` and `float64`: the types that gradients flow through. */
export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64';
}

/**
 * The shape of NumPy broadcasting of two shapes, or `undefined` where they don't fit.
 *
 * @example
 * broadcastShapes([8, 1, 6], [7, 1]) // [8, 7, 6]
 */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    result.push(x === 1 ? y : x);
  }
  return result;
}

/**
 * An empty typed array of a {@link DType}.
 *
 * @throws GraphError for a 16-bit float: such tensors stay within a graph.
 */
export function allocate(dtype: DType, size: number): TypedArray {
  requireHeld(dtype);
  switch (dtype) {
    case 'float32':
      return new Float32Array(size);
    case 'float64':
      return new Float64Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'int64':
      return new BigInt64Array(size);
    default:
      return new Uint8Array(size);
  }
}

/**
 * A typed array of a {@link DType} that holds the given numbers.
 *
 * @throws GraphError for a 16-bit float: such tensors stay within a graph.
 */
export function typedArray(dtype: DType, values: ArrayLike<number>): TypedArray {
  requireHeld(dtype);
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'int64':
      return BigInt64Array.from(Array.from(values, (value) => BigInt(value)));
    default:
      return Uint8Array.from(values);
  }
}

/** Refuses the element types that no typed array of JavaScript holds. */
function requireHeld(dtype: DType): void {
  if (dtype === 'float16' || dtype === 'bfloat16') {
    throw new GraphError(`${dtype}: expected a type that can be fed and read, cast it to float32`);
  }
}
