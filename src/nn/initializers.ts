import type { RandomStream } from '../linalg/index.js';

/** Fills a new parameter of the given shape from a random stream. */
export type Initializer = (out: Float32Array, shape: readonly number[], stream: RandomStream) => void;

/** Inputs that feed one output of a weight `[out, in, ...kernel]`. */
function fanIn(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, length) => product * length, 1);
}

/** All elements 0. */
export const zeros: Initializer = (out) => out.fill(0);

/** All elements 1. */
export const ones: Initializer = (out) => out.fill(1);

/** Uniform in ±1/√n for a given n (PyTorch's default for biases, n = inputs of the layer's weight). */
export function uniformByFan(fan: number): Initializer {
  return (out, _shape, stream) => stream.fillUniform(out, -1 / Math.sqrt(fan), 1 / Math.sqrt(fan));
}

/** Uniform in ±1/√(inputs of one output): PyTorch's default for linear and convolution weights (Kaiming, a = √5). */
export const kaimingUniform: Initializer = (out, shape, stream) => {
  uniformByFan(Math.max(fanIn(shape), 1))(out, shape, stream);
};
