import { RandomStream } from '../../linalg/index.js';
import { type ModelSpec, matrixShape, modelState, type StateDict } from '../../models/index.js';
import { matchesAny } from '../../registry/index.js';

/**
 * `θ₀ = (1 − a)·θ + a·ξ` in place, ξ drawn as the architecture begins: of a matrix as long as the one that it is mixed with, so that a
 * is a share of what it does; of a vector (bias, gain of a norm) as it is. Running statistics stay: training measures them again.
 *
 * @param options - `seed`: decides ξ, by streams of their own, so that a model is not mixed with what it was trained from.
 */
export function mixWithFresh(
  model: ModelSpec,
  weights: StateDict,
  { a, seed, include, exclude }: { a: number; seed: number; include: readonly string[]; exclude: readonly string[] },
): void {
  const [wanted, unwanted] = [matchesAny(include), matchesAny(exclude)];
  for (const { name, shape, kind, initializer } of modelState(model)) {
    const data = weights.get(name)?.data;
    if (!data || kind !== 'parameter' || !wanted(name) || unwanted(name)) continue;
    const fresh = new Float32Array(data.length);
    initializer(fresh, shape, new RandomStream(seed, `redistil ${name}`));
    const length = lengthOf(fresh);
    const scale = matrixShape(shape) && length > 0 ? lengthOf(data) / length : 1;
    for (let i = 0; i < data.length; i++) data[i] = (1 - a) * data[i] + a * scale * fresh[i];
  }
}

/** Euclidean length. */
export function lengthOf(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}
