import {
  add,
  cast,
  concat,
  div,
  exp,
  gemm,
  log,
  max,
  mul,
  neg,
  reduceSum,
  reshape,
  sub,
  substituted,
  type Tensor,
  transpose,
} from '../../graph/index.js';
import type { ModelSpec } from '../../models/index.js';
import { type ArraySpecs, batchInput, maskOf } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import type { Task } from '../../tasks/index.js';
import { gradientOutputs } from '../term-gradients.js';

/** Weights of the two terms on an attacker's examples. */
export interface NoiseWeights {
  /** Of the distance of what layers hold from noise. */
  readonly noiseWeight: number;
  /** Of the logarithm of the loss that is to rise. */
  readonly ascentWeight: number;
}

/** Bandwidths of the kernel, as shares of the mean squared distance. */
const bandwidths = [1 / 4, 1 / 2, 1, 2, 4];

/** Name of the batch's array with the noise of a hidden layer. */
export const noiseName = (layer: number): string => `noise ${layer}`;

/**
 * The terms of RepNoise on an attacker's examples, and their gradient:
 *
 *     noise  = mean over hidden layers of MMD²(h, ξ), ξ standard normal and shaped like h
 *     ascent = log(1 + (ℓ(output) + Σ_l ℓ(head(h_l))) / L)
 *     term   = noiseWeight · noise − ascentWeight · ascent
 *
 * MMD² is the mean over pairs of `k(h, h') + k(ξ, ξ') − 2 k(h, ξ)` with a sum of five Gaussian kernels, `exp(−d² / b)`, b from a quarter of
 * the mean squared distance to four times it, held fixed in the gradient. The head is what the network computes from its last hidden layer;
 * L is the number of hidden layers that are shaped like that one. What padding holds counts for nothing.
 *
 * @returns `noise`, `ascent`, `term`, and `grad <name>` of each parameter that they depend on.
 * @throws InputError for a model without hidden layers, or without a loss.
 */
export function repNoiseGraph(
  model: ModelSpec,
  task: Task,
  specs: ArraySpecs,
  { noiseWeight, ascentWeight }: NoiseWeights,
): Record<string, Tensor> {
  const { graph, scope, outputs } = model.build(specs);
  const { hidden } = scope;
  const output = outputs[task.output];
  const last = hidden.at(-1);
  if (!last)
    throw new InputError(`repnoise: expected a model with hidden layers, found none of ${model.architecture.name}`);
  if (!task.loss) throw new InputError(`repnoise: expected a task with a loss, found ${task.name}`);
  const { loss } = task;
  const target = (name: string) =>
    graph.inputs.get(batchInput(name)) ?? graph.input(batchInput(name), specs[name].shape, specs[name].dtype);
  const discrepancies = hidden.map((layer, index) =>
    discrepancy(rowsOf(layer), rowsOf(graph.input(batchInput(noiseName(index)), layer.shape, layer.dtype))),
  );
  const noise = div(sum(discrepancies.map(({ value }) => value)), hidden.length);
  const fitting = hidden.filter(({ shape }) => String(shape) === String(last.shape));
  const losses = [output, ...fitting.map((layer) => substituted(output, last, layer))].map((each) =>
    loss(each, target),
  );
  const ascent = log(add(div(sum(losses), fitting.length), 1));
  const term = sub(mul(noise, noiseWeight), mul(ascent, ascentWeight));
  // The kernel's widths are no part of the gradient: it begins at the distances, with their slopes at fixed widths.
  const beginnings = [
    ...discrepancies.map(({ distances, slopes }) => [distances, mul(slopes, noiseWeight / hidden.length)] as const),
    [ascent, graph.constant([-ascentWeight], [1], ascent.dtype)] as const,
  ].map((pair) => pair.map((each) => reshape(each, [-1])));
  const joined = [0, 1].map((side) =>
    concat(
      beginnings.map((pair) => pair[side]),
      0,
    ),
  );
  return { noise, ascent, term, ...gradientOutputs(scope, joined[0], joined[1]) };
}

/** What a layer holds of each example, `[batch, places · width]`, 0 at padding. */
function rowsOf(layer: Tensor): Tensor {
  const mask = layer.rank === 3 ? maskOf(layer.graph) : undefined;
  const held = mask ? mul(layer, reshape(cast(mask, layer.dtype), [...mask.shape, 1])) : layer;
  return reshape(held, [layer.shape[0], -1]);
}

/** MMD² of two sets of as many rows, and its slopes by the squared distances of all pairs at fixed widths of the kernel. */
function discrepancy(rows: Tensor, others: Tensor) {
  const [n] = rows.shape;
  const all = concat([rows, others], 0);
  const lengths = reduceSum(mul(all, all), { axes: [1], keepDims: true });
  const products = gemm(all, all, undefined, { transB: true, alpha: -2 });
  const distances = max(add(add(products, lengths), transpose(lengths)), 0);
  const mean = div(reduceSum(distances), 2 * n * (2 * n - 1));
  const kernels = bandwidths.map((share) => {
    const width = mul(mean, share);
    return { width, kernel: exp(neg(div(distances, width))) };
  });
  // 1 for two of one set, −1 for one of each.
  const signs = rows.graph.constant(
    Array.from(
      { length: 4 * n * n },
      (_, at) => (Math.floor(at / (2 * n)) < n === at % (2 * n) < n ? 1 : -1) / (n * n),
    ),
    [2 * n, 2 * n],
    rows.dtype,
  );
  return {
    distances,
    value: reduceSum(mul(signs, sum(kernels.map(({ kernel }) => kernel)))),
    slopes: neg(mul(signs, sum(kernels.map(({ width, kernel }) => div(kernel, width))))),
  };
}

const sum = (tensors: readonly Tensor[]): Tensor => tensors.reduce((a, b) => add(a, b));
