import { Graph, gather, reshape, type Tensor } from '../graph/index.js';
import type { DecoderPast, ModelSpec, TextDecoder } from '../models/index.js';
import { batchInput, Scope } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { cacheNames, newPart } from './cache.js';

/** The size of a program of generation. */
export interface StepSize {
  /** Tokens that it takes. */
  readonly tokens: number;
  /** Room of the cache that it reads; 0 at a text's beginning. */
  readonly room: number;
}

/**
 * The decoder of a model that gives the next token of a text.
 *
 * @throws InputError when it has none, or another head.
 */
export function requireDecoder({ architecture, head }: ModelSpec): TextDecoder<unknown> {
  if (architecture.decoder && head.kind === 'causal-lm') return architecture.decoder;
  throw new InputError(
    `${architecture.name}: expected a model that gives the next token (causal-lm), found a head ${head.kind}`,
  );
}

/**
 * What a step of generation computes: `logits` `[1, vocabulary]` after the token `last`, and the keys and values of its tokens.
 */
export function stepOutputs(model: ModelSpec, { tokens, room }: StepSize): Record<string, Tensor> {
  const decoder = requireDecoder(model);
  const { layers, heads, headWidth } = decoder.cache(model.config);
  const graph = new Graph();
  const scope = new Scope(graph);
  const array = (name: string, shape: number[]) => graph.input(batchInput(name), shape);
  const pastLayers = Array.from({ length: layers }, (_, layer) => {
    const { key, value } = cacheNames(layer);
    const shape = [1, heads, room, headWidth];
    return { key: array(key, shape), value: array(value, shape) };
  });
  const whole = (name: string, shape: number[]) => graph.input(batchInput(name), shape, 'int64');
  const past: DecoderPast | undefined = room > 0 ? { length: whole('length', []), layers: pastLayers } : undefined;
  const inputs = {
    input_ids: whole('input_ids', [1, tokens]),
    attention_mask: whole('attention_mask', [1, tokens]),
    past,
  };
  const { hidden, present } = decoder.layers(scope, inputs, model.config);
  // The head is as wide as the vocabulary: only one token's logits are needed.
  const last = gather(reshape(hidden, [tokens, hidden.shape[2]]), whole('last', [1])); // [1, width]
  const outputs: Record<string, Tensor> = { logits: decoder.nextToken(scope, last, model.config) };
  present.forEach(({ key, value }, layer) => {
    const names = cacheNames(layer);
    outputs[newPart(names.key)] = key;
    outputs[newPart(names.value)] = value;
  });
  return outputs;
}

/** The sizes that programs have: powers of two from 16, up to a model's context, so that there are few of them. */
export function programSize(count: number, context: number): number {
  const size = Math.max(16, 2 ** Math.ceil(Math.log2(Math.max(count, 1))));
  return Math.min(size, context);
}
