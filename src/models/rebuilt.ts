import type { StateSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type ModelSpec, modelState, smallestBatch } from './architecture.js';
import { architectures } from './config.js';

/** A model of another architecture, which is written otherwise in some of its parts. */
export interface RebuiltModel {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** Names of the parts, which both models have. */
  readonly parts: readonly string[];
  /** Parameters that are there no more. */
  readonly replaced: readonly StateSpec[];
  /** Parameters that the other did not have. */
  readonly added: readonly StateSpec[];
}

/**
 * A model with a deep network of low rank in the place of each feed-forward layer.
 *
 * @param shape - `rank`: default so that a network has as many parameters as the layer, or a few less.
 * @throws InputError for an architecture that has no such form.
 */
export function withDeepLayers(
  original: ModelSpec,
  { depth, rank }: { readonly depth: number; readonly rank?: number },
): RebuiltModel {
  const { architecture, config } = original;
  const { feedForward, name } = architecture;
  if (!feedForward?.deep) {
    const able = architectures.entries().flatMap((entry) => (entry.feedForward?.deep ? [entry.name] : []));
    throw new InputError(`expected a model of ${able.join(' or ')}, found ${name}`);
  }
  const { deep } = feedForward;
  const made = (narrow: number) => rebuilt(original, deep(config, { depth, rank: narrow }));
  return made(rank ?? Math.max(1, Math.floor(sizeLike(made))));
}

/**
 * A model with a plain feed-forward layer in the place of each deep network, of as many parameters or a few more.
 *
 * @throws InputError for an architecture that has no such form.
 */
export function withPlainLayers(original: ModelSpec): RebuiltModel {
  const { architecture, config } = original;
  const plain = architecture.feedForward?.plain;
  if (!plain) throw new InputError(`expected a model with deep feed-forward layers, found ${architecture.name}`);
  const made = (inner: number) => rebuilt(original, plain(config, inner));
  return made(Math.max(1, Math.ceil(sizeLike(made))));
}

/** Numbers that entries hold together. */
export function sizeOf(state: readonly StateSpec[]): number {
  return state.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

/** The width with which what is added has as many parameters as what is replaced: their number is linear in it. */
function sizeLike(made: (width: number) => RebuiltModel): number {
  const [one, two] = [made(1), made(2)];
  const perWidth = sizeOf(two.added) - sizeOf(one.added);
  return 1 + (sizeOf(one.replaced) - sizeOf(one.added)) / perWidth;
}

function rebuilt(original: ModelSpec, model: ModelSpec): RebuiltModel {
  const [before, after] = [modelState(original), modelState(model)];
  const { parts } = model.build(smallestBatch(model)).scope;
  return {
    model,
    parts: parts.map(({ name }) => name),
    replaced: missingIn(after, before),
    added: missingIn(before, after),
  };
}

/** The entries of the second state that the first does not have. */
function missingIn(state: readonly StateSpec[], other: readonly StateSpec[]): StateSpec[] {
  const names = new Set(state.map(({ name }) => name));
  return other.filter(({ name }) => !names.has(name));
}
