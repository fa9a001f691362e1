import { gather, type Tensor } from '../graph/index.js';
import { type Initializer, normal, sinusoids } from './initializers.js';
import type { Scope } from './scope.js';

/** A table of vectors and how it begins. */
export interface EmbeddingOptions {
  /** Number of vectors. */
  readonly count: number;
  /** Numbers of each. */
  readonly width: number;
  /** Deviation of the first values, normal around 0. */
  readonly deviation: number;
  /** The vector of padding, which begins at zero; default none. */
  readonly paddingIndex?: number | null;
  /** Whether the first values are sines and cosines of the vector's number instead (Vaswani et al. 2017); default false. */
  readonly sinusoidal?: boolean;
}

/** A table of vectors, as PyTorch's `nn.Embedding`: the parameter `weight` `[count, width]`. */
export function embeddingTable(
  scope: Scope,
  { count, width, deviation, paddingIndex, sinusoidal = false }: EmbeddingOptions,
): Tensor {
  const initializer: Initializer = (out, shape, stream) => {
    (sinusoidal ? sinusoids : normal(deviation))(out, shape, stream);
    if (paddingIndex != null) out.fill(0, paddingIndex * width, (paddingIndex + 1) * width);
  };
  return scope.parameter('weight', [count, width], initializer);
}

/**
 * The vectors of numbers: {@link embeddingTable} looked up.
 *
 * @param ids - int64 of any shape, each from 0 and less than `count`.
 * @returns `[...ids.shape, width]`.
 */
export function embedding(scope: Scope, ids: Tensor, options: EmbeddingOptions): Tensor {
  return gather(embeddingTable(scope, options), ids);
}
