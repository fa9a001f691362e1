import { add, type ConvOptions, conv, gemm, matMul, type Tensor, transpose } from '../graph/index.js';
import { type Initializer, kaimingUniform, uniformByFan } from './initializers.js';
import type { Scope } from './scope.js';

/** How a layer's parameters begin; the defaults are PyTorch's. */
export interface LayerOptions {
  /** Whether there is a bias; default true. */
  bias?: boolean;
  /** First value of the weight; default uniform by its inputs. */
  weightInitializer?: Initializer;
  /** First value of the bias; default uniform by the weight's inputs. */
  biasInitializer?: Initializer;
}

/**
 * `x·Wᵀ + b`, as PyTorch's `nn.Linear`: parameters `weight` `[outFeatures, inFeatures]` and `bias` `[outFeatures]`.
 *
 * @param x - `[..., inFeatures]`.
 */
export function linear(
  scope: Scope,
  x: Tensor,
  outFeatures: number,
  { bias = true, weightInitializer = kaimingUniform, biasInitializer }: LayerOptions = {},
): Tensor {
  const inFeatures = x.shape[x.rank - 1];
  const weight = scope.parameter('weight', [outFeatures, inFeatures], weightInitializer);
  const b = bias ? scope.parameter('bias', [outFeatures], biasInitializer ?? uniformByFan(inFeatures)) : undefined;
  const output = x.rank === 2 ? gemm(x, weight, b, { transB: true }) : plus(matMul(x, transpose(weight)), b);
  return scope.layer(output, { input: x });
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
  { bias = true, weightInitializer = kaimingUniform, biasInitializer, ...options }: ConvOptions & LayerOptions = {},
): Tensor {
  const inPerGroup = x.shape[1] / (options.groups ?? 1);
  const weight = scope.parameter('weight', [outChannels, inPerGroup, kernel, kernel], weightInitializer);
  const fan = inPerGroup * kernel * kernel;
  const b = bias ? scope.parameter('bias', [outChannels], biasInitializer ?? uniformByFan(fan)) : undefined;
  return scope.layer(conv(x, weight, b, options), { input: x, convolution: options });
}

function plus(product: Tensor, bias: Tensor | undefined): Tensor {
  return bias ? add(product, bias) : product;
}
