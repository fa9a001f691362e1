import type { Dataset } from '../data/index.js';
import type { HalfType } from '../graph/index.js';
import type { Evaluation } from '../tasks/index.js';
import type { Evaluator, PassWatch } from './evaluate.js';
import type { ParameterSet } from './optimizers/index.js';
import type { Original } from './original.js';

/** Utility as it is computed by users: in float32, and with every value stored in 16 bits. */
export type UtilityByType = Readonly<Record<'float32' | HalfType, Evaluation>>;

/** Passes over the examples that {@link utilityByType} takes. */
export const utilityPasses = 3;

/** The utility of weights in float32 and in both 16-bit types, beside the original's float32 outputs on the same examples. */
export async function utilityByType(
  evaluator: Evaluator,
  params: ParameterSet,
  dataset: Dataset,
  original: Original,
  watch: PassWatch = {},
): Promise<UtilityByType> {
  const of = (type?: HalfType) => evaluator.evaluate(params, dataset, { type, original, ...watch });
  return { float32: await of(), float16: await of('float16'), bfloat16: await of('bfloat16') };
}
