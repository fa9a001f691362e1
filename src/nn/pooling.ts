import { argMax, cast, div, equal, matMul, max, mul, reduceSum, reshape, sqrt, type Tensor } from '../graph/index.js';

/**
 * Mean of the tokens that a mask counts; 0 where it counts none.
 *
 * @param hidden - `[batch, tokens, width]`.
 * @param mask - int64 `[batch, tokens]`, 1 for what counts, 0 for padding.
 * @returns `[batch, width]`.
 */
export function meanPool(hidden: Tensor, mask: Tensor): Tensor {
  const [batch, tokens, width] = hidden.shape;
  const counted = reshape(cast(mask, hidden.dtype), [batch, 1, tokens]);
  const sum = reshape(matMul(counted, hidden), [batch, width]);
  return div(sum, max(reduceSum(reshape(counted, [batch, tokens]), { axes: [1], keepDims: true }), 1));
}

/** The vectors of the last axis at length 1, `x / max(‖x‖₂, 1e-12)` as PyTorch's `normalize`. */
export function unitLength(x: Tensor): Tensor {
  return div(x, max(sqrt(reduceSum(mul(x, x), { axes: [-1], keepDims: true })), 1e-12));
}

/**
 * The last token that a mask counts, wherever padding lies.
 *
 * @param hidden - `[batch, tokens, width]`.
 * @param mask - int64 `[batch, tokens]`, 1 for what counts, 0 for padding.
 * @returns `[batch, width]`.
 */
export function lastToken(hidden: Tensor, mask: Tensor): Tensor {
  const [batch, tokens, width] = hidden.shape;
  const { graph } = hidden;
  const places = Array.from({ length: tokens }, (_, place) => place);
  const ordered = mul(
    cast(mask, 'float32'),
    graph.constant(
      places.map((place) => place + 1),
      [tokens],
    ),
  );
  const last = reshape(argMax(ordered, 1), [batch, 1]);
  const chosen = cast(equal(graph.constant(places, [tokens], 'int64'), last), hidden.dtype); // [batch, tokens], one 1 a row
  return reshape(matMul(reshape(chosen, [batch, 1, tokens]), hidden), [batch, width]);
}
