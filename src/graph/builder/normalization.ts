import type { Tensor } from '../graph.js';
import { add, mul, reciprocal, sqrt, sub } from './elementwise.js';
import { reshape, resolveAxis } from './movement.js';
import { reduceMean, variance } from './reduction.js';

/**
 * `(x − mean) / √(var + epsilon) · scale + bias` over the axes from `axis` on.
 *
 * @param scale - Shaped like those axes.
 * @param bias - Shaped like those axes; none by default.
 */
export function layerNormalization(
  x: Tensor,
  scale: Tensor,
  bias?: Tensor,
  { axis = -1, epsilon = 1e-5 }: { axis?: number; epsilon?: number } = {},
): Tensor {
  const attributes = { axis: resolveAxis(axis, x.rank), epsilon };
  return x.graph.apply('LayerNormalization', bias ? [x, scale, bias] : [x, scale], attributes)[0];
}

/**
 * `x / √(mean x² + epsilon) · scale` over the axes from `axis` on.
 *
 * @param scale - Shaped like those axes.
 */
export function rmsNormalization(
  x: Tensor,
  scale: Tensor,
  { axis = -1, epsilon = 1e-5 }: { axis?: number; epsilon?: number } = {},
): Tensor {
  return x.graph.apply('RMSNormalization', [x, scale], { axis: resolveAxis(axis, x.rank), epsilon })[0];
}

/** Parameters of a batch normalization, each `[channels]`. */
export interface BatchNormParameters {
  /** Factor (PyTorch's `weight`). */
  scale: Tensor;
  /** Summand. */
  bias: Tensor;
}

/** Batch normalization with running statistics, `x` `[batch, channels, ...]`; epsilon defaults to 1e-5. */
export function batchNormalization(
  x: Tensor,
  { scale, bias, mean, variance: v }: BatchNormParameters & { mean: Tensor; variance: Tensor },
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor {
  return x.graph.apply('BatchNormalization', [x, scale, bias, mean, v], { epsilon })[0];
}

/** What {@link batchNormalizationTraining} computes. */
export interface BatchNormTraining {
  /** Normalized `x`. */
  output: Tensor;
  /** Mean of the batch, `[channels]`. */
  mean: Tensor;
  /** Population variance of the batch, `[channels]`. */
  variance: Tensor;
}

/**
 * Batch normalization with the statistics of the batch itself (training).
 *
 * @returns The output, and the batch's mean and population variance `[channels]` for the running statistics.
 */
export function batchNormalizationTraining(
  x: Tensor,
  { scale, bias }: BatchNormParameters,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): BatchNormTraining {
  const channels = x.shape[1];
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const perChannel = [channels, ...axes.slice(1).map(() => 1)];
  const mean = reduceMean(x, { axes, keepDims: true });
  const spread = variance(x, { axes, keepDims: true });
  const factor = mul(reshape(scale, perChannel), reciprocal(sqrt(add(spread, epsilon))));
  return {
    output: add(mul(sub(x, mean), factor), reshape(bias, perChannel)),
    mean: reshape(mean, [channels]),
    variance: reshape(spread, [channels]),
  };
}
