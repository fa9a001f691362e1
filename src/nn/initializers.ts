import type { RandomStream } from '../linalg/index.js';

/** Fills a new parameter of the given shape from a random stream. */
export type Initializer = (out: Float32Array, shape: readonly number[], stream: RandomStream) => void;

function product(lengths: readonly number[]): number {
  return lengths.reduce((a, b) => a * b, 1);
}

/** Inputs that feed one output of a weight `[out, in, ...kernel]`. */
function fanIn(shape: readonly number[]): number {
  return product(shape.slice(1));
}

/** Outputs that one input of a weight `[out, in, ...kernel]` feeds. */
function fanOut([out, , ...kernel]: readonly number[]): number {
  return out * product(kernel);
}

/** All elements 0. */
export const zeros: Initializer = (out) => out.fill(0);

/** All elements 1. */
export const ones: Initializer = (out) => out.fill(1);

/** Normal with mean 0 and the given deviation. */
export function normal(deviation: number): Initializer {
  return (out, _shape, stream) => stream.fillNormal(out, 0, deviation);
}

/** Uniform in ±1/√n for a given n (PyTorch's default for biases, n = inputs of the layer's weight). */
export function uniformByFan(fan: number): Initializer {
  return (out, _shape, stream) => stream.fillUniform(out, -1 / Math.sqrt(fan), 1 / Math.sqrt(fan));
}

/** Uniform in ±1/√(inputs of one output): PyTorch's default for linear and convolution weights (Kaiming, a = √5). */
export const kaimingUniform: Initializer = (out, shape, stream) => {
  uniformByFan(Math.max(fanIn(shape), 1))(out, shape, stream);
};

/** Uniform in ±√(6 / (inputs of one output + outputs of one input)): Glorot and Bengio 2010, PyTorch's `xavier_uniform_`. */
export const xavierUniform: Initializer = (out, shape, stream) => {
  const bound = Math.sqrt(6 / Math.max(fanIn(shape) + fanOut(shape), 1));
  stream.fillUniform(out, -bound, bound);
};

/** Normal with variance 2 / (inputs of one output, or outputs of one input): keeps the scale through ReLUs, forward or back. */
export function kaimingNormal(fan: 'in' | 'out'): Initializer {
  return (out, shape, stream) =>
    stream.fillNormal(out, 0, Math.sqrt(2 / Math.max(fan === 'in' ? fanIn(shape) : fanOut(shape), 1)));
}

/** Row i of `[rows, width]` holds the sine, in odd columns the cosine, of `i / 10000^(2·⌊column / 2⌋ / width)`. */
export const sinusoids: Initializer = (out, [, width]) => {
  out.forEach((_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    const angle = row / 10_000 ** ((2 * Math.floor(column / 2)) / width);
    out[at] = column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
};
