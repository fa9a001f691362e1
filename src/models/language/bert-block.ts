import { add, type Tensor } from '../../graph/index.js';
import { type ActivationName, activations, layerNorm, linear, type Scope } from '../../nn/index.js';
import { initial } from './keys.js';

/** What a block of BERT is made of. */
export interface BertBlockKeys {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly hidden_act: ActivationName;
  readonly hidden_dropout_prob: number;
  readonly layer_norm_eps: number;
  readonly initializer_range: number;
}

/** `LayerNorm(residual + dropout(x·Wᵀ + b))`, by its parts `dense` and `LayerNorm` (`BertSelfOutput`, `BertOutput`). */
function added(scope: Scope, x: Tensor, residual: Tensor, settings: BertBlockKeys): Tensor {
  const { hidden_size, hidden_dropout_prob, layer_norm_eps: epsilon } = settings;
  const out = scope.dropout(linear(scope.child('dense'), x, hidden_size, initial(settings)), hidden_dropout_prob);
  return layerNorm(scope.child('LayerNorm'), add(out, residual), { epsilon });
}

/**
 * A block of BERT: attention, then two linear layers with an activation; each is added to its input, and normalized after that.
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
  const { intermediate_size, hidden_act } = settings;
  const attention = scope.child('attention');
  const h = added(attention.child('output'), attend(attention.child('self'), x), x, settings);
  const wide = linear(scope.child('intermediate').child('dense'), h, intermediate_size, initial(settings));
  return added(scope.child('output'), activations[hidden_act](wide), h, settings);
}
