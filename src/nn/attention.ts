import { add, matMul, mul, reshape, softmax, type Tensor, transpose, where } from '../graph/index.js';
import type { Scope } from './scope.js';

/** The least number of float32: added to a score it leaves this number, whatever the score was, and e to its power is 0. */
const lowest = -3.4028234663852886e38;

/**
 * Scaled dot-product attention of several heads, `softmax(Q·Kᵀ · scale + bias) · V`, on projected inputs; the
 * projections before and after it belong to the architecture, whose names they have.
 *
 * @param inputs - `query` `[batch, queries, width]`; `key` and `value`, each `[batch, keys, width]`.
 * @param options - `heads`: a divisor of the width. `scale`: default 1 / √d, d = width / heads. `bias`: added to the scores,
 *   broadcast to `[batch, heads, queries, keys]`; default none (see {@link attentionBias}). `dropout`: share of the attention
 *   weights that training drops; default 0.
 * @returns `[batch, queries, width]`.
 * @see Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.
 */
export function multiHeadAttention(
  scope: Scope,
  { query, key, value }: { query: Tensor; key: Tensor; value: Tensor },
  { heads, scale, bias, dropout = 0 }: { heads: number; scale?: number; bias?: Tensor; dropout?: number },
): Tensor {
  const width = query.shape[2];
  const split = (x: Tensor) => reshape(x, [x.shape[0], x.shape[1], heads, width / heads]); // [batch, tokens, heads, d]
  const [q, k, v] = [query, key, value].map(split);
  const products = matMul(transpose(q, [0, 2, 1, 3]), transpose(k, [0, 2, 3, 1])); // [batch, heads, queries, keys]
  const scaled = mul(products, scale ?? 1 / Math.sqrt(width / heads));
  const weights = scope.dropout(softmax(bias ? add(scaled, bias) : scaled), dropout);
  const mixed = transpose(matMul(weights, transpose(v, [0, 2, 1, 3])), [0, 2, 1, 3]); // [batch, queries, heads, d]
  return reshape(mixed, query.shape); // [batch, queries, width]
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
