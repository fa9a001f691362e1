import type { Tensor } from '../../graph/index.js';
import { type ForwardPass, pooledLayer } from '../../models/index.js';
import { InputError } from '../../registry/index.js';

/**
 * What the last linear layer of a model reads, one vector an example, `[batch, width]`; of a model whose output is no such layer's what its
 * last hidden layer holds. Of tokens and places the mean.
 *
 * @throws InputError for a model without hidden layers.
 */
export function featuresOf({ scope }: ForwardPass, output: Tensor): Tensor {
  const read = scope.layers.find((layer) => layer.output === output)?.input;
  const features = scope.hidden.length > 0 ? (read ?? scope.hidden.at(-1)) : undefined;
  if (!features) throw new InputError('immunize: expected a model with hidden layers, found none');
  return pooledLayer(features);
}
