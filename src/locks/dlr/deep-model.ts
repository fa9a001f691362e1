import { architectures, type DeepLayer, type ModelSpec, modelState } from '../../models/index.js';
import type { DeepLowRankShape, StateSpec } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';

/** A model with deep networks of low rank in the place of its feed-forward layers. */
export interface DeepModel {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** How deep the networks are, and how narrow. */
  readonly shape: DeepLowRankShape;
  /** The layer of each block, and what stands in its place. */
  readonly layers: readonly DeepLayer[];
  /** Parameters that are there no more. */
  readonly replaced: readonly StateSpec[];
  /** Parameters of all networks. */
  readonly added: readonly StateSpec[];
}

/**
 * The form of a model that has a deep network for each feed-forward layer.
 *
 * @param options - `rank`: default so that a network has as many parameters as the layer, or a few less.
 * @throws InputError for an architecture that has no such form.
 */
export function deepModelOf(
  { architecture, config, ...model }: ModelSpec,
  { depth, rank }: { readonly depth: number; readonly rank?: number },
): DeepModel {
  const { deepForm, name } = architecture;
  if (!deepForm) {
    const able = architectures.entries().flatMap((entry) => (entry.deepForm ? [entry.name] : []));
    throw new InputError(`dlr: expected a model of ${able.join(' or ')}, found ${name}`);
  }
  const before = modelState({ architecture, config, ...model });
  const made = (shape: DeepLowRankShape): DeepModel => {
    const deep = deepForm.model(config, shape);
    const after = modelState(deep);
    return {
      model: deep,
      shape,
      layers: deepForm.layers(config),
      replaced: missingIn(after, before),
      added: missingIn(before, after),
    };
  };
  if (rank !== undefined) return made({ depth, rank });
  const { replaced, added } = made({ depth, rank: 1 });
  const perRank = sizeOf(made({ depth, rank: 2 }).added) - sizeOf(added);
  const more = Math.floor((sizeOf(replaced) - sizeOf(added)) / perRank);
  return made({ depth, rank: 1 + Math.max(0, more) });
}

/** Numbers that entries hold together. */
export function sizeOf(state: readonly StateSpec[]): number {
  return state.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

/** The entries of the second state that the first does not have. */
function missingIn(state: readonly StateSpec[], other: readonly StateSpec[]): StateSpec[] {
  const names = new Set(state.map(({ name }) => name));
  return other.filter(({ name }) => !names.has(name));
}
