import {
  add,
  and,
  equal,
  type Graph,
  greater,
  less,
  lessOrEqual,
  or,
  reshape,
  sub,
  type Tensor,
} from '../../graph/index.js';
import { attentionBias } from '../../nn/index.js';
import type { DecoderInputs, DecoderPast } from '../text-decoder.js';

/** Whole numbers from 0 on as a constant. */
export function range(graph: Graph, length: number, shape: readonly number[]): Tensor {
  const numbers = Array.from({ length }, (_, i) => i);
  return graph.constant(numbers, shape, 'int64');
}

/** For how many tokens before there is room. */
export function roomOf(past: DecoderPast | undefined): number {
  return past?.layers[0]?.key.shape[2] ?? 0;
}

/** What is added to the scores of a layer. */
export interface SeenBiases {
  /** Of these tokens, `[batch, 1, tokens, tokens]`. */
  readonly own: Tensor;
  /** Of those before, `[tokens, room]`. */
  readonly past?: Tensor;
}

/** What tokens see of one another and of those before: computed once for all layers of a kind, not in each of them. */
export class CausalBiases {
  readonly #known = new Map<number | undefined, SeenBiases>();

  constructor(readonly inputs: DecoderInputs) {}

  /** Of layers that see so many tokens, themselves included; all where it is undefined. */
  of(window?: number): SeenBiases {
    const known = this.#known.get(window);
    if (known) return known;
    const { input_ids: ids, attention_mask: mask, past } = this.inputs;
    const [batch, tokens] = ids.shape;
    const queries = range(ids.graph, tokens, [tokens, 1]);
    const keys = range(ids.graph, tokens, [1, tokens]);
    const near = (allowed: Tensor, distance: Tensor) => (window ? and(allowed, less(distance, window)) : allowed);
    const causal = near(lessOrEqual(keys, queries), sub(queries, keys)); // [tokens, tokens]
    // Padding sees itself: else it would see nothing before a text, and be no number in 16 bits.
    const real = or(reshape(greater(mask, 0), [batch, 1, 1, tokens]), equal(keys, queries));
    const own = attentionBias(and(real, causal));
    const found = { own, ...(past && { past: pastBias(past, queries, near) }) };
    this.#known.set(window, found);
    return found;
  }
}

function pastBias(past: DecoderPast, queries: Tensor, near: (allowed: Tensor, distance: Tensor) => Tensor): Tensor {
  const room = roomOf(past);
  const before = range(queries.graph, room, [1, room]);
  return attentionBias(near(less(before, past.length), sub(add(queries, past.length), before)));
}
