import {
  add,
  type FloatType,
  Graph,
  matMul,
  meanSquaredError,
  mul,
  relu,
  reshape,
  softmax,
  type Tensor,
  type TypedArray,
  tanh,
  transpose,
} from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { batchInput, conv2d, linear, Scope, type StateSpec, xavierUniform, zeros } from '../nn/index.js';
import { LossSurface, lossGraph } from './surface.js';

/** Names of the networks of the paper's Figure 2. */
export const figure2Names = ['mlp', 'cnn', 'transformer'] as const;

/** One of {@link figure2Names}. */
export type Figure2Name = (typeof figure2Names)[number];

/** A network of the paper's Figure 2. */
export interface Figure2Network {
  /** Its name. */
  readonly name: Figure2Name;
  /** Shape of one example, and of what is to be predicted for it. */
  readonly input: readonly number[];
  /** Shape of a target. */
  readonly target: readonly number[];
  /** Its weight matrices, in the order of the forward pass. */
  readonly weights: readonly string[];
  /** Prediction `[batch, ...target]` for `x` `[batch, ...input]`. */
  forward(scope: Scope, x: Tensor): Tensor;
}

const start = { weightInitializer: xavierUniform, biasInitializer: zeros };

/** Strength of the transformer's residual branches, Δt / 2 with Δt = 1 / L (Appendix A.2), for its one layer. */
export const residualStrength = 0.5;

const mlp: Figure2Network = {
  name: 'mlp',
  input: [4],
  target: [4],
  weights: ['fc1.weight', 'fc2.weight', 'fc3.weight', 'fc4.weight'],
  forward(scope, x) {
    let h = x;
    for (const name of ['fc1', 'fc2', 'fc3']) h = relu(linear(scope.child(name), h, 8, start));
    return linear(scope.child('fc4'), h, 4, start);
  },
};

const cnn: Figure2Network = {
  name: 'cnn',
  input: [1, 2, 2],
  target: [4],
  weights: ['conv1.weight', 'conv2.weight', 'fc1.weight', 'fc2.weight'],
  forward(scope, x) {
    let h = tanh(conv2d(scope.child('conv1'), x, 4, 3, { padding: 1, ...start }));
    h = tanh(conv2d(scope.child('conv2'), h, 4, 3, { padding: 1, ...start }));
    h = tanh(linear(scope.child('fc1'), reshape(h, [x.shape[0], -1]), 8, start));
    return linear(scope.child('fc2'), h, 4, start);
  },
};

/** The transformer of Appendix A.2: no layer norm, no biases, one head, `Z + η·f(Z)`, then `Z + η·h(Z)`; tokens in rows. */
const transformer: Figure2Network = {
  name: 'transformer',
  input: [2, 4],
  target: [2, 4],
  weights: ['W_Q', 'W_K', 'W_V', 'W_O', 'W_1', 'W_2'],
  forward(scope, z) {
    const by = (name: string, x: Tensor, out: number) =>
      matMul(x, transpose(scope.parameter(name, [out, x.shape[2]], xavierUniform)));
    const [query, key, value] = ['W_Q', 'W_K', 'W_V'].map((name) => by(name, z, 4)); // [batch, tokens, 4]
    // Row t: how much token t takes of each; unscaled, as equation (3) has it.
    const shares = softmax(matMul(query, transpose(key, [0, 2, 1])));
    const attended = add(z, mul(by('W_O', matMul(shares, value), 4), residualStrength));
    return add(attended, mul(by('W_2', relu(by('W_1', attended, 8)), 4), residualStrength));
  },
};

/** The networks of Figure 2 by name. */
export const figure2Networks: Readonly<Record<Figure2Name, Figure2Network>> = { mlp, cnn, transformer };

/** Gaussian inputs and targets of a network. */
export interface Figure2Data {
  /** Examples. */
  readonly size: number;
  /** `[size, ...input]`, standard normal. */
  readonly x: Float64Array;
  /** `[size, ...target]`, standard normal. */
  readonly y: Float64Array;
}

/** Draws 64 examples, as Appendix B.1 has them. */
export function figure2Data({ input, target }: Figure2Network, seed: number, size = 64): Figure2Data {
  const draw = (what: string, shape: readonly number[]) => {
    const stream = new RandomStream(seed, `figure 2 ${what}`);
    const count = shape.reduce((product, length) => product * length, size);
    // Rounded to float32, so that a run in either type sees the same numbers.
    return Float64Array.from({ length: count }, () => Math.fround(stream.normal()));
  };
  return { size, x: draw('inputs', input), y: draw('targets', target) };
}

/** The network's prediction and mean squared error in a graph of its own. */
function written(network: Figure2Network, size: number, dtype: FloatType) {
  const graph = new Graph();
  const scope = new Scope(graph, true, dtype);
  const x = graph.input(batchInput('x'), [size, ...network.input], dtype);
  const y = graph.input(batchInput('y'), [size, ...network.target], dtype);
  const output = network.forward(scope, x);
  return { scope, output, loss: meanSquaredError(output, y) };
}

/** The entries of a network's state. */
export function figure2State(network: Figure2Network): readonly StateSpec[] {
  return written(network, 1, 'float32').scope.state;
}

/** First weights, Xavier uniform, biases 0. */
export function figure2Weights(network: Figure2Network, seed: number): Map<string, Float64Array> {
  return new Map(
    figure2State(network).map(({ name, shape, initializer }) => {
      const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
      initializer(data, shape, new RandomStream(seed, `initialize ${name}`));
      return [name, Float64Array.from(data)];
    }),
  );
}

/** The mean squared error of a network on its data, over all parameters, in float64. */
export function figure2Surface(network: Figure2Network, { size, x, y }: Figure2Data): LossSurface {
  const build = () => {
    const { scope, output, loss } = written(network, size, 'float64');
    // The second derivatives of a mean of squares.
    const curvature = (_: Tensor, u: Tensor) => mul(u, 2 / output.size);
    return lossGraph({ loss, output, parameters: scope.parameterInputs, curvature });
  };
  return new LossSurface(build, { [batchInput('x')]: x, [batchInput('y')]: y }, { threads: 1 });
}

/** A network's prediction on its data, in float64. */
export function figure2Prediction(
  network: Figure2Network,
  { size, x }: Pick<Figure2Data, 'size' | 'x'>,
): { output: Tensor; feeds: Record<string, TypedArray> } {
  return { output: written(network, size, 'float64').output, feeds: { [batchInput('x')]: x } };
}

/** The loss in float32, for training: `loss`, and `grad <name>` of every parameter. */
export function figure2Training(
  network: Figure2Network,
  { size, x, y }: Figure2Data,
): { outputs: Readonly<Record<string, Tensor>>; feeds: Record<string, TypedArray> } {
  const { scope, output, loss } = written(network, size, 'float32');
  const curvature = (_: Tensor, u: Tensor) => u;
  const { outputs } = lossGraph({ loss, output, parameters: scope.parameterInputs, curvature });
  return { outputs, feeds: { [batchInput('x')]: Float32Array.from(x), [batchInput('y')]: Float32Array.from(y) } };
}
