import { type DType, GraphError, isFloat, type TensorType } from '../dtype.js';
import type { OpAttributes, OpType } from '../ops.js';

/** Computes the types of an operator's outputs from those of its inputs; throws GraphError where they don't fit. */
export type InferenceRule<K extends OpType> = (
  inputs: readonly (TensorType | undefined)[],
  attributes: OpAttributes[K],
  op: K,
) => TensorType[];

/** One rule for each of some operators. */
export type InferenceRules<Ops extends Partial<OpAttributes>> = {
  readonly [K in keyof Ops & OpType]: InferenceRule<K>;
};

/** The input at a position that must be there. */
export function required(op: OpType, inputs: readonly (TensorType | undefined)[], index: number): TensorType {
  const input = inputs[index];
  if (!input) throw new GraphError(`${op}: expected an input ${index}, got none`);
  return input;
}

/** Exactly `count` inputs, all there. */
export function exactly(op: OpType, inputs: readonly (TensorType | undefined)[], count: number): TensorType[] {
  if (inputs.length !== count) throw new GraphError(`${op}: expected ${count} inputs, got ${inputs.length}`);
  return inputs.map((_, index) => required(op, inputs, index));
}

/** Refuses a tensor whose rank is not the expected one. */
export function requireRank(op: OpType, tensor: TensorType, rank: number): void {
  if (tensor.shape.length !== rank) throw new GraphError(`${op}: expected rank ${rank}, got ${tensor}`);
}

/** Refuses tensors that are not of one element type. */
export function requireSameDType(op: OpType, tensors: readonly TensorType[]): DType {
  const { dtype } = tensors[0];
  for (const tensor of tensors) {
    if (tensor.dtype !== dtype) throw new GraphError(`${op}: expected one element type, got ${tensors.join(' and ')}`);
  }
  return dtype;
}

/** Refuses a tensor that is not floating point. */
export function requireFloat(op: OpType, tensor: TensorType): void {
  if (!isFloat(tensor.dtype)) throw new GraphError(`${op}: expected a float tensor, got ${tensor}`);
}

/** Refuses indices of another type than int32 or int64. */
export function requireIndices(op: OpType, tensor: TensorType): void {
  if (tensor.dtype !== 'int32' && tensor.dtype !== 'int64') {
    throw new GraphError(`${op}: expected int32 or int64 indices, got ${tensor}`);
  }
}

/** Refuses an axis outside 0 … rank − 1 (negative axes are resolved by the builder). */
export function requireAxis(op: OpType, tensor: TensorType, axis: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= tensor.shape.length) {
    throw new GraphError(`${op}: expected an axis from 0 to ${tensor.shape.length - 1} of ${tensor}, got ${axis}`);
  }
}
