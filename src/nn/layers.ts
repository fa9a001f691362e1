import { add, type ConvOptions, conv, gemm, matMul, type Tensor, transpose } from '../graph/index.js';
import { kaimingUniform, uniformByFan } from './initializers.js';
import type { Scope } from './scope.js';

/**
 * `x·Wᵀ + b`, as PyTorch's `nn.Linear`: parameters `weight` `[outFeatures, inFeatures]` and `bias` `[outFeatures]`.
 *
 * @param x - `[..., inFeatures]`.
 */
export function linear(scope: Scope, x: Tensor, outFeatures: number, { bias = true }: { bias?: boolean } = {}): Tensor {
  const inFeatures = x.shape[x.rank - 1];
  const weight = scope.parameter('weight', [outFeatures, inFeatures], kaimingUniform);
  const b = bias ? scope.parameter('bias', [outFeatures], uniformByFan(inFeatures)) : undefined;
  if (x.rank === 2) return gemm(x, weight, b, { transB: true });
  const product = matMul(x, transpose(weight));
  return b ? add(product, b) : product;
}

/**
 * Convolution, as PyTorch's `nn.Conv2d`: parameters `weight` `[out, in / groups, kernel, kernel]` and `bias` `[out]`.
 *
 * @param x - `[batch, in, height, width]`.
 */
export function conv2d(
  scope: Scope,
  x: Tensor,
  outChannels: number,
  kernel: number,
  { bias = true, ...options }: ConvOptions & { bias?: boolean } = {},
): Tensor {
  const inPerGroup = x.shape[1] / (options.groups ?? 1);
  const weight = scope.parameter('weight', [outChannels, inPerGroup, kernel, kernel], kaimingUniform);
  const b = bias ? scope.parameter('bias', [outChannels], uniformByFan(inPerGroup * kernel * kernel)) : undefined;
  return conv(x, weight, b, options);
}
