import { gelu, relu, silu, type Tensor, tanh } from '../../graph/index.js';

/** Activations of a feed-forward layer, by the names that transformers has for them. */
export const activations = {
  silu,
  swish: silu,
  gelu: (x: Tensor) => gelu(x),
  gelu_new: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  gelu_pytorch_tanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  relu,
  tanh,
} as const;

/** The name of an activation. */
export type Activation = keyof typeof activations;

/** All names of activations. */
export const activationNames = Object.keys(activations) as [Activation, ...Activation[]];
