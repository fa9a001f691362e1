import type { ModelSpec } from '../models/index.js';
import type { ParameterSet } from './optimizers/index.js';
import type { TopOutputs } from './top-outputs.js';

/**
 * What outputs are compared with: those that the original gave for all examples, `[size, ...]`, or, where these are too many
 * to keep, the original's weights, which give them again when they are asked for; `model`: what they are of, default the model that is
 * compared.
 */
export type Original =
  | { readonly outputs: Float32Array }
  | { readonly weights: ParameterSet; readonly model?: ModelSpec };

/** What a loss keeps a model near to: an original, or the most likely answers that it gave. */
export type Reference = Original | { readonly top: TopOutputs };
