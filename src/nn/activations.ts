import { gelu, relu, sigmoid, silu, type Tensor, tanh } from '../graph/index.js';

const byErf = (x: Tensor) => gelu(x);
const byTanh = (x: Tensor) => gelu(x, { approximate: 'tanh' });

const functions = {
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
export type ActivationName = keyof typeof functions;

/** Functions of one number by the names that configurations of transformers give them (its `ACT2FN`). */
export const activations: Readonly<Record<ActivationName, (x: Tensor) => Tensor>> = functions;

/** Names of all of them. */
export const activationNames = Object.keys(functions) as ActivationName[];
