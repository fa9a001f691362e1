import { gelu, relu, sigmoid, silu, type Tensor, tanh } from '../graph/index.js';

const byErf = (x: Tensor) => gelu(x);
const byTanh = (x: Tensor) => gelu(x, { approximate: 'tanh' });

/** Functions of one number by the names that configurations of transformers give them (its `ACT2FN`). */
export const activations = {
  gelu: byErf,
  gelu_python: byErf,
  gelu_new: byTanh,
  gelu_fast: byTanh,
  gelu_pytorch_tanh: byTanh,
  gelu_python_tanh: byTanh,
  linear: (x: Tensor) => x,
  relu,
  sigmoid,
  silu,
  swish: silu,
  tanh,
} as const;

/** Name of an activation. */
export type ActivationName = keyof typeof activations;

/** All of them. */
export const activationNames = Object.keys(activations) as ActivationName[];
