import { add, type Tensor } from '../../graph/index.js';
import {
  type ActivationName,
  activations,
  type DeepLowRankShape,
  deepLowRank,
  layerNorm,
  linear,
  type Scope,
} from '../../nn/index.js';
import { initial } from './keys.js';

/** What a block of BERT is made of. */
export type BertBlockKeys = CommonKeys &
  ({ readonly intermediate_size: number } | { readonly feed_forward: DeepLowRankShape });

interface CommonKeys {
  readonly hidden_size: number;
  readonly hidden_act: ActivationName;
  readonly hidden_dropout_prob: number;
  readonly layer_norm_eps: number;
  readonly initializer_range: number;
}

/** `x·Wᵀ + b`, by its part `dense`. */
function dense(scope: Scope, x: Tensor, size: number, settings: BertBlockKeys): Tensor {
  return linear(scope.child('dense'), x, size, initial(settings));
}

/** `LayerNorm(residual + dropout(x))`, by its part `LayerNorm` (`BertSelfOutput`, `BertOutput`). */
function added(scope: Scope, x: Tensor, residual: Tensor, settings: BertBlockKeys): Tensor {
  const { hidden_dropout_prob, layer_norm_eps: epsilon } = settings;
  return layerNorm(scope.child('LayerNorm'), add(scope.dropout(x, hidden_dropout_prob), residual), { epsilon });
}

/** Two linear layers with an activation, or a deep network of low rank in their place; parameters are named as in its block. */
export function bertFeedForward(scope: Scope, h: Tensor, settings: BertBlockKeys): Tensor {
  const { hidden_size, hidden_act: activation } = settings;
  if ('feed_forward' in settings) {
    const options = { ...settings.feed_forward, activation, ...initial(settings) };
    return deepLowRank(scope.child('feed_forward'), h, options);
  }
  const wide = dense(scope.child('intermediate'), h, settings.intermediate_size, settings);
  return dense(scope.child('output'), activations[activation](wide), hidden_size, settings);
}

/**
 * A block of BERT: attention, then a feed-forward layer; each is added to its input, and normalized after that.
 *
 * @param x - `[batch, tokens, width]`.
 * @param attend - Attention with its projections, the last one left out: `[batch, tokens, width]` from `x` in `attention.self`.
 * @see `BertLayer` and `DebertaV2Layer` of transformers.
 */
export function bertBlock(
  scope: Scope,
  x: Tensor,
  settings: BertBlockKeys,
  attend: (scope: Scope, x: Tensor) => Tensor,
): Tensor {
  const attention = scope.child('attention');
  const output = attention.child('output');
  const mixed = dense(output, attend(attention.child('self'), x), settings.hidden_size, settings);
  const h = added(output, mixed, x, settings);
  return added(scope.child('output'), scope.part(bertFeedForward(scope, h, settings), h), h, settings);
}
