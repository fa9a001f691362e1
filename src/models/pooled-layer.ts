import { cast, concat, div, mul, reduceMean, reduceSum, reshape, type Tensor } from '../graph/index.js';
import { batchInput, type Scope } from '../nn/index.js';

/**
 * One vector an example, `[batch, width]`, of what a layer holds: of images the mean over the places of a channel, of texts the mean over
 * the tokens that are no padding.
 *
 * @param layer - `[batch, width]`, `[batch, tokens, width]` or `[batch, channels, height, width]`.
 */
export function pooledLayer(layer: Tensor): Tensor {
  const [batch, tokens, ...more] = layer.shape;
  if (layer.rank === 2) return layer;
  if (more.length > 1) return reduceMean(layer, { axes: [2, 3] });
  const mask = layer.graph.inputs.get(batchInput('attention_mask'));
  if (!mask) return reduceMean(layer, { axes: [1] });
  const counted = reshape(cast(mask, layer.dtype), [batch, tokens, 1]);
  return div(reduceSum(mul(layer, counted), { axes: [1] }), reduceSum(counted, { axes: [1] }));
}

/** What the hidden layers of a forward pass hold, pooled and side by side, `[batch, width]`. */
export function pooledLayers({ hidden }: Pick<Scope, 'hidden'>): Tensor {
  return concat(hidden.map(pooledLayer), 1);
}
