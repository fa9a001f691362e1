import type { TensorType } from '../dtype.js';
import type { OpAttributes, OpType } from '../ops.js';
import { elementwiseInference } from './elementwise.js';
import { matrixInference } from './matrix.js';
import { movementInference } from './movement.js';
import { reductionInference } from './reduction.js';
import type { InferenceRule } from './rule.js';

/** One rule for every operator: a missing one does not compile. */
const rules: { readonly [K in OpType]: InferenceRule<K> } = {
  ...elementwiseInference,
  ...matrixInference,
  ...reductionInference,
  ...movementInference,
};

/** The types of an operator's outputs; throws GraphError where inputs and attributes don't fit. */
export function inferOutputs<K extends OpType>(
  op: K,
  inputs: readonly (TensorType | undefined)[],
  attributes: OpAttributes[K],
): TensorType[] {
  return (rules[op] as InferenceRule<K>)(inputs, attributes, op);
}
