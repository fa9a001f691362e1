import { add, sub, type Tensor } from '../graph/index.js';
import { type ActivationName, activations } from './activations.js';
import { zeros } from './initializers.js';
import { type LayerOptions, linear } from './layers.js';
import type { Scope } from './scope.js';

/** How deep a network of low rank is, and how narrow. */
export interface DeepLowRankShape {
  /** Number of its layers. */
  readonly depth: number;
  /** Width of each. */
  readonly rank: number;
}

/** Options of {@link deepLowRank}. */
export interface DeepLowRankOptions extends DeepLowRankShape, LayerOptions {
  /** Activation σ of the narrow vectors. */
  readonly activation: ActivationName;
}

/**
 * A deep residual network of low-rank layers: `hₗ₊₁ = hₗ + Uₗ · σ(Vₗ · hₗ + bₗ) + cₗ` from `h₀ = x`; it gives `h_depth − x`. `Uₗ` begins as 0,
 * and so does what it gives.
 *
 * @param scope - Holds `0.down` (V, b) and `0.up` (U, c), `1.down`, ...
 * @param x - `[..., width]`.
 * @returns `[..., width]`.
 */
export function deepLowRank(
  scope: Scope,
  x: Tensor,
  { depth, rank, activation, ...options }: DeepLowRankOptions,
): Tensor {
  const width = x.shape[x.rank - 1];
  let h = x;
  for (let index = 0; index < depth; index++) {
    const layer = scope.child(`${index}`);
    const narrow = activations[activation](linear(layer.child('down'), h, rank, options));
    h = add(h, linear(layer.child('up'), narrow, width, { weightInitializer: zeros, biasInitializer: zeros }));
  }
  return sub(h, x);
}
