import {
  add,
  cast,
  concat,
  matMul,
  mul,
  reshape,
  softmax,
  split,
  type Tensor,
  transpose,
  where,
} from '../graph/index.js';
import type { Scope } from './scope.js';

/** The least number of float32: added to a score it leaves this number, whatever the score was, and e to its power is 0. */
const lowest = -3.4028234663852886e38;

/** How scores become weights. */
export interface AttentionOptions {
  /** Factor of the scores; default 1 / √d. */
  scale?: number;
  /** Added to the scores, broadcast to `[batch, heads, queries, keys]`; default none (see {@link attentionBias}). */
  bias?: Tensor;
  /** Share of the attention weights that training drops; default 0. */
  dropout?: number;
}

/** Keys and values of earlier tokens, which queries see beside those of their own tokens. */
export interface Past {
  /** `[batch, keyHeads, pastKeys, d]`. */
  key: Tensor;
  /** `[batch, keyHeads, pastKeys, d]`. */
  value: Tensor;
  /** Added to their scores, broadcast to `[batch, heads, queries, pastKeys]`: which of them hold something. */
  bias: Tensor;
}

/**
 * Scaled dot-product attention on heads, `softmax(Q·Kᵀ · scale + bias) · V`. Where there are fewer heads of keys than of
 * queries, g queries' heads in a row share one of keys (grouped-query attention).
 *
 * @param inputs - `query` `[batch, heads, queries, d]`, `transposedKey` `[batch, keyHeads, d, keys]`, `value`
 *   `[batch, keyHeads, keys, d]`; `past` comes before them.
 * @returns `[batch, heads, queries, d]`.
 * @see Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2; Ainslie et al., "GQA", EMNLP 2023.
 */
export function attend(
  scope: Scope,
  { query, transposedKey, value, past }: { query: Tensor; transposedKey: Tensor; value: Tensor; past?: Past },
  { scale, bias, dropout = 0 }: AttentionOptions = {},
): Tensor {
  const [batch, heads, queries, d] = query.shape;
  const keyHeads = transposedKey.shape[1];
  // The heads that share a key head lie one behind the other: as more queries of that head, nothing has to be repeated.
  const grouped = reshape(query, [batch, keyHeads, (heads / keyHeads) * queries, d]);
  const scored = (key: Tensor, own: Tensor | undefined): Tensor => {
    const products = reshape(matMul(grouped, key), [batch, heads, queries, key.shape[3]]);
    const scaled = mul(products, scale ?? 1 / Math.sqrt(d));
    return own ? add(scaled, cast(own, scaled.dtype)) : scaled; // [batch, heads, queries, keys]
  };
  const mixed = (weights: Tensor, of: Tensor): Tensor => {
    const keys = of.shape[2];
    return reshape(matMul(reshape(weights, [batch, keyHeads, (heads / keyHeads) * queries, keys]), of), query.shape);
  };
  const scores = scored(transposedKey, bias);
  if (!past) return mixed(scope.dropout(softmax(scores), dropout), value);
  // Two products and a sum, so that the past is read where it lies and not copied together with what is new.
  const [pastKeys, keys] = [past.key.shape[2], transposedKey.shape[3]];
  const before = scored(transpose(past.key, [0, 1, 3, 2]), past.bias);
  const weights = scope.dropout(softmax(concat([before, scores], 3)), dropout); // [batch, heads, queries, pastKeys + keys]
  const [ofPast, ofNew] = split(weights, [pastKeys, keys], 3);
  return add(mixed(ofPast, past.value), mixed(ofNew, value));
}

/**
 * {@link attend} of several heads on projected inputs; the projections before and after it belong to the architecture, whose
 * names they have.
 *
 * @param inputs - `query` `[batch, queries, width]`; `key` and `value`, each `[batch, keys, width]`.
 * @param options - `heads`: a divisor of the width.
 * @returns `[batch, queries, width]`.
 */
export function multiHeadAttention(
  scope: Scope,
  { query, key, value }: { query: Tensor; key: Tensor; value: Tensor },
  { heads, ...options }: AttentionOptions & { heads: number },
): Tensor {
  const width = query.shape[2];
  const [q, k, v] = [query, key, value].map((x) => reshape(x, [x.shape[0], x.shape[1], heads, width / heads]));
  const inputs = {
    query: transpose(q, [0, 2, 1, 3]), // [batch, heads, queries, d]
    transposedKey: transpose(k, [0, 2, 3, 1]), // [batch, heads, d, keys]
    value: transpose(v, [0, 2, 1, 3]), // [batch, heads, keys, d]
  };
  return joinHeads(attend(scope, inputs, options));
}

/** `[batch, tokens, heads · d]` as `[batch, heads, tokens, d]`. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, tokens, width] = x.shape;
  return transpose(reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

/** `[batch, heads, tokens, d]` as `[batch, tokens, heads · d]`. */
export function joinHeads(x: Tensor): Tensor {
  const [batch, heads, tokens, d] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * d]);
}

/**
 * What is added to attention's scores so that tokens see only what they are allowed to: 0 where they are, else float32's least
 * number, which rounds to −∞ in float16. So each query must be allowed at least one key, or it is not a number there.
 *
 * @param allowed - bool, broadcast to `[batch, heads, queries, keys]`.
 */
export function attentionBias(allowed: Tensor): Tensor {
  return where(allowed, allowed.graph.scalar(0), lowest);
}
