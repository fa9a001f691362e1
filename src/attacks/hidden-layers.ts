import { cast, concat, div, mul, reduceMean, reduceSum, reshape, type Tensor } from '../graph/index.js';
import type { ForwardPass, ModelSpec } from '../models/index.js';
import { batchInput } from '../nn/index.js';

/** Name of the output of a model from {@link hiddenLayersOf}. */
export const hiddenOutput = 'hidden';

/**
 * A model whose output is what its hidden layers hold, side by side, `[batch, width]`: of images the mean over the places of a
 * channel, of texts the mean over the tokens that are no padding. Same weights; `head` stays the model's own.
 */
export function hiddenLayersOf(model: ModelSpec): ModelSpec {
  return {
    ...model,
    digest: `${model.digest} ${hiddenOutput}`,
    build(batch, options) {
      const pass = model.build(batch, options);
      return { ...pass, outputs: { [hiddenOutput]: concat(pass.scope.hidden.map(pooling(pass)), 1) } };
    },
  };
}

/** Makes one vector an example of what a layer holds. */
function pooling({ graph }: ForwardPass): (layer: Tensor) => Tensor {
  const mask = graph.inputs.get(batchInput('attention_mask'));
  return (layer) => {
    const [batch, , ...places] = layer.shape;
    if (places.length === 0) return layer;
    if (layer.rank === 4) return reduceMean(layer, { axes: [2, 3] });
    if (!mask) return reduceMean(layer, { axes: [1] });
    const counted = reshape(cast(mask, layer.dtype), [batch, layer.shape[1], 1]);
    return div(reduceSum(mul(layer, counted), { axes: [1] }), reduceSum(counted, { axes: [1] }));
  };
}
