import { matMul, mul, reshape, softmax, type Tensor, transpose } from '../graph/index.js';
import type { Scope } from './scope.js';

/**
 * Scaled dot-product attention of several heads, `softmax(Q·Kᵀ / √d) · V` with d = width / heads, on projected inputs; the
 * projections before and after it belong to the architecture, whose names they have.
 *
 * @param inputs - `query`, `key` and `value`, each `[batch, tokens, width]`.
 * @param options - `heads`: a divisor of the width. `dropout`: share of the attention weights that training drops; default 0.
 * @returns `[batch, tokens, width]`.
 * @see Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.
 */
export function multiHeadAttention(
  scope: Scope,
  { query, key, value }: { query: Tensor; key: Tensor; value: Tensor },
  { heads, dropout = 0 }: { heads: number; dropout?: number },
): Tensor {
  const [batch, tokens, width] = query.shape;
  const split = (x: Tensor) => reshape(x, [batch, tokens, heads, width / heads]); // [batch, tokens, heads, d]
  const [q, k, v] = [query, key, value].map(split);
  const scores = matMul(transpose(q, [0, 2, 1, 3]), transpose(k, [0, 2, 3, 1])); // [batch, heads, tokens, tokens]
  const weights = scope.dropout(softmax(mul(scores, 1 / Math.sqrt(width / heads))), dropout);
  const mixed = transpose(matMul(weights, transpose(v, [0, 2, 1, 3])), [0, 2, 1, 3]); // [batch, tokens, heads, d]
  return reshape(mixed, query.shape); // [batch, tokens, width]
}
