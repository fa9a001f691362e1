import {
  add,
  batchNormalization,
  batchNormalizationTraining,
  layerNormalization,
  mul,
  rmsNormalization,
  type Tensor,
} from '../graph/index.js';
import { InputError } from '../registry/index.js';
import { ones, zeros } from './initializers.js';
import type { Scope } from './scope.js';

/**
 * Batch normalization, as PyTorch's `nn.BatchNorm2d`: parameters `weight` and `bias`, buffers `running_mean` and
 * `running_var` `[channels]`, counter `num_batches_tracked`. In training it uses the batch's statistics and moves the
 * running ones by `momentum` (default 0.1) towards them, the variance unbiased; else it uses the running ones.
 *
 * @param x - `[batch, channels, ...space]`.
 * @throws InputError in training when a channel has one value only, which has no variance.
 */
export function batchNorm(
  scope: Scope,
  x: Tensor,
  { momentum = 0.1, epsilon = 1e-5 }: { momentum?: number; epsilon?: number } = {},
): Tensor {
  const channels = x.shape[1];
  const scale = scope.parameter('weight', [channels], ones);
  const bias = scope.parameter('bias', [channels], zeros);
  const runningMean = scope.buffer('running_mean', channels, zeros);
  const runningVariance = scope.buffer('running_var', channels, ones);
  scope.counter('num_batches_tracked');
  if (!scope.training) {
    return batchNormalization(x, { scale, bias, mean: runningMean, variance: runningVariance }, { epsilon });
  }
  const count = x.size / channels;
  if (count < 2) {
    throw new InputError(
      `${scope.name}: batch norm cannot train on one value a channel, [${x.shape}]; give a larger batch size or larger images`,
    );
  }
  const { output, mean, variance } = batchNormalizationTraining(x, { scale, bias }, { epsilon });
  const moved = (running: Tensor, toward: Tensor, factor: number) =>
    add(mul(running, 1 - momentum), mul(toward, momentum * factor));
  scope.updateBuffer('running_mean', moved(runningMean, mean, 1));
  scope.updateBuffer('running_var', moved(runningVariance, variance, count / (count - 1)));
  return output;
}

/** Layer normalization of the last axis, as PyTorch's `nn.LayerNorm`: parameters `weight` and `bias`; epsilon 1e-5. */
export function layerNorm(scope: Scope, x: Tensor, { epsilon = 1e-5 }: { epsilon?: number } = {}): Tensor {
  const shape = [x.shape[x.rank - 1]];
  const scale = scope.parameter('weight', shape, ones);
  return layerNormalization(x, scale, scope.parameter('bias', shape, zeros), { epsilon });
}

/**
 * Root mean square normalization of the last axis, `x / √(mean x² + epsilon) · weight`, as transformers' `LlamaRMSNorm`:
 * parameter `weight`.
 *
 * @param options - `epsilon`: default 1e-6. `offset`: added to the weight, whose first value is then `1 − offset`; 1 for Gemma,
 *   default 0.
 * @see Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.
 */
export function rmsNorm(
  scope: Scope,
  x: Tensor,
  { epsilon = 1e-6, offset = 0 }: { epsilon?: number; offset?: 0 | 1 } = {},
): Tensor {
  const weight = scope.parameter('weight', [x.shape[x.rank - 1]], offset === 0 ? ones : zeros);
  return rmsNormalization(x, offset === 0 ? weight : add(weight, offset), { epsilon });
}
