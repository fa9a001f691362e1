import type { HeadNeed, ModelSpec } from './architecture.js';
import { modelState } from './architecture.js';
import { initializeModel } from './directory.js';
import { keysOfHead } from './head.js';
import type { Model } from './model.js';
import type { StateDict } from './state-dict.js';
import { matchTensors } from './state-dict-policy.js';

/** A model's body under a head of another kind. */
export interface OtherHead {
  /** The model with that head; what it does not have in common with the first is drawn. */
  readonly model: Model;
  /** What each weight that both have is called there, by its name in the first model. */
  readonly shared: ReadonlyMap<string, string>;
}

/**
 * Puts another head on a model's body, as transformers does where a class of the same family reads the file.
 *
 * @param original - Architecture and configuration.
 * @param weights - Its weights, which the other model shares: their arrays are not copied.
 * @param seed - Of what is drawn.
 * @throws InputError when the architecture has no such head.
 */
export function withOtherHead(original: ModelSpec, weights: StateDict, need: HeadNeed, seed: number): OtherHead {
  const { architecture, config } = original;
  const keys = { ...(config as Record<string, unknown>), ...keysOfHead(original, need, architecture.name) };
  const drawn = initializeModel(architecture.name, keys, seed);
  const headers = Array.from(weights, ([name, { shape }]) => ({ name, shape, dtype: 'F32' as const }));
  const policy = architecture.stateDictPolicy?.(drawn.config) ?? {};
  const { declared } = matchTensors(headers, modelState(drawn), policy, architecture.name);
  const own = new Map(Array.from(declared, ([name, there]) => [there, weights.get(name)]));
  const state = Array.from(drawn.weights, ([name, weight]) => [name, own.get(name) ?? weight] as const);
  return { model: { ...drawn, weights: new Map(state) }, shared: declared };
}
