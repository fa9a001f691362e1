import { type ModelSpec, matrixShape, modelState, type StateDict } from '../../models/index.js';
import { matchesAny } from '../../registry/index.js';
import type { Draws } from '../secret.js';

/** Which weights are mixed with fresh numbers. */
export interface Mixed {
  /** Patterns of names that are, `*` stands for any characters. */
  readonly include: readonly string[];
  /** Patterns of names that are not after all. */
  readonly exclude: readonly string[];
}

/** A weight and the fresh numbers that belong to it. */
export interface FreshWeight {
  /** Name in the state dict. */
  readonly name: string;
  /** Whether the fresh numbers count by their direction alone, in the length of the weight. */
  readonly isMatrix: boolean;
  /** The values; those of the state dict itself. */
  readonly data: Float32Array;
  /** What the architecture would begin with. */
  fresh(draws: Draws): Float32Array;
}

/** The parameters that patterns choose, in the order of the model. Running statistics are none: training measures them again. */
export function freshWeights(model: ModelSpec, weights: StateDict, { include, exclude }: Mixed): FreshWeight[] {
  const [wanted, unwanted] = [matchesAny(include), matchesAny(exclude)];
  return modelState(model).flatMap(({ name, shape, kind, initializer }) => {
    const data = weights.get(name)?.data;
    if (!data || kind !== 'parameter' || !wanted(name) || unwanted(name)) return [];
    const fresh = (draws: Draws) => {
      const found = new Float32Array(data.length);
      initializer(found, shape, draws(`redistil ${name}`));
      return found;
    };
    return [{ name, isMatrix: matrixShape(shape) !== undefined, data, fresh }];
  });
}

/**
 * `θ₀ = (1 − a)·θ + a·ξ` in place, ξ drawn as the architecture begins: of a matrix as long as the one that it is mixed with, so that a
 * is a share of what it does; of a vector (bias, gain of a norm) as it is.
 *
 * @param options - `draws`: decide ξ; whoever knows it has θ again.
 */
export function mixWithFresh(
  model: ModelSpec,
  weights: StateDict,
  { a, draws, ...mixed }: Mixed & { a: number; draws: Draws },
): void {
  for (const { isMatrix, data, fresh: drawn } of freshWeights(model, weights, mixed)) {
    const fresh = drawn(draws);
    const length = lengthOf(fresh);
    const scale = isMatrix && length > 0 ? lengthOf(data) / length : 1;
    for (let i = 0; i < data.length; i++) data[i] = (1 - a) * data[i] + a * scale * fresh[i];
  }
}

/** Euclidean length. */
export function lengthOf(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}
