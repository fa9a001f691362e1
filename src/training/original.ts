import type { ParameterSet } from './optimizers/index.js';

/**
 * What outputs are compared with: those that the original gave for all examples, `[size, ...]`, or, where these are too many
 * to keep, the original's weights, which give them again when they are asked for.
 */
export type Original = { readonly outputs: Float32Array } | { readonly weights: ParameterSet };
