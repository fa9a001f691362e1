import { compile } from '../engine/index.js';
import { exactSingularValues } from '../linalg/index.js';
import { weightInput } from '../nn/index.js';
import { adam } from '../training/index.js';
import type { BlockBound, BoundsOf, Values } from './bounds/bound.js';
import { cnnBounds, cnnChains } from './bounds/cnn.js';
import { mlpBounds, mlpChains } from './bounds/mlp.js';
import { type PrintedBound, printedBounds } from './bounds/printed.js';
import { transformerBounds } from './bounds/transformer.js';
import { blockOf, eigenvalues, exactCurvature, largestSize, spectralNorm } from './hessian.js';
import {
  type Figure2Data,
  type Figure2Name,
  type Figure2Network,
  figure2Prediction,
  figure2State,
  figure2Surface,
  figure2Training,
} from './networks.js';

/** What a network of Figure 2 predicts for its examples, `[size, ...target]`, in float64. */
export async function figure2Outputs(
  network: Figure2Network,
  data: Figure2Data,
  values: Values,
): Promise<Float64Array> {
  const { output, feeds } = figure2Prediction(network, data);
  const program = await compile({ output }, { threads: 1 });
  try {
    const inputs = { ...feeds };
    for (const [name, each] of values) inputs[weightInput(name)] = each;
    return Float64Array.from((await program.run(inputs)).output as Float64Array);
  } finally {
    await program.release();
  }
}

/** Bounds of each network of Figure 2. */
export const figure2Bounds: Readonly<Record<Figure2Name, BoundsOf>> = {
  mlp: mlpBounds,
  cnn: cnnBounds,
  transformer: transformerBounds,
};

/**
 * The bounds of Theorem 2.1 and Remark A.3 as the paper prints them, for each example alone; none of the transformer, which has a
 * theorem of its own.
 */
export function figure2Printed({ name }: Figure2Network, data: Figure2Data, values: Values): PrintedBound[] {
  if (name === 'transformer') return [];
  const chains = (name === 'mlp' ? mlpChains : cnnChains)(values, data);
  const scale = (2 * data.size) / data.y.length;
  return chains.flatMap((chain) => printedBounds(chain, scale));
}

/** The largest singular value of each weight matrix, kernels as `[out, in · taps]`. */
export function largestSingularValuesOf(network: Figure2Network, values: Values): Map<string, number> {
  const shapes = new Map(figure2State(network).map(({ name, shape }) => [name, shape]));
  return new Map(
    network.weights.map((name) => {
      const data = values.get(name) ?? new Float64Array();
      const rows = shapes.get(name)?.[0] ?? 0;
      return [name, exactSingularValues(data, rows, data.length / rows)[0]];
    }),
  );
}

/**
 * Scaled reconstruction: every weight matrix with its singular values multiplied by one number, so that the largest is
 * `sigma`. Biases stay.
 */
export function withLargestSingularValue(network: Figure2Network, values: Values, sigma: number): Values {
  const largest = largestSingularValuesOf(network, values);
  return new Map(
    Array.from(values, ([name, data]) => {
      const found = largest.get(name);
      return [name, found === undefined ? data : data.map((value) => value * (sigma / found))];
    }),
  );
}

/** Steps of Adam until the loss is at most a target; none where the budget was not enough. */
export interface Convergence {
  /** Updates; none: not within the budget. */
  readonly steps?: number;
  /** Loss before the first. */
  readonly first: number;
  /** Loss after the last. */
  readonly last: number;
}

/**
 * Trains a network of Figure 2 with all examples in each step: Adam at 1e-3, float32, as the paper.
 *
 * @param options - `target`: loss at which it counts as converged; `budget`: steps at most.
 */
export async function stepsToConverge(
  network: Figure2Network,
  data: Figure2Data,
  values: Values,
  { target, budget, learningRate = 1e-3 }: { target: number; budget: number; learningRate?: number },
): Promise<Convergence> {
  const { outputs, feeds } = figure2Training(network, data);
  const program = await compile(outputs, { threads: 1 });
  try {
    const params = new Map(Array.from(values, ([name, each]) => [name, Float32Array.from(each)]));
    const inputs = { ...feeds };
    for (const [name, each] of params) inputs[weightInput(name)] = each;
    const optimizer = adam();
    const state = optimizer.init(params);
    let first = Number.NaN;
    for (let step = 0; ; step++) {
      const results = await program.run(inputs);
      const loss = Number(results.loss[0]);
      if (step === 0) first = loss;
      if (loss <= target) return { steps: step, first, last: loss };
      if (step === budget || !Number.isFinite(loss)) return { first, last: loss };
      const found = Array.from(params.keys(), (name) => [name, results[`grad ${name}`]] as const);
      const gradients = new Map(found.flatMap(([name, each]) => (each ? [[name, each as Float32Array]] : [])));
      await optimizer.update(gradients, state, params, learningRate);
    }
  } finally {
    await program.release();
  }
}

/** The loss of the best answer that does not look at its input: the variance of each target, averaged. */
export function constantLoss({ size, y }: Figure2Data): number {
  const width = y.length / size;
  let sum = 0;
  for (let column = 0; column < width; column++) {
    let [total, squares] = [0, 0];
    for (let n = 0; n < size; n++) {
      total += y[n * width + column];
      squares += y[n * width + column] ** 2;
    }
    sum += squares / size - (total / size) ** 2;
  }
  return sum / width;
}

/** A bound beside what it bounds. */
export interface CheckedBound extends Omit<BlockBound, 'slack'> {
  /** What is taken off for the block's second derivatives of the network itself. */
  readonly slack: number;
  /** `σ² · factor − slack`, 0 where that is less: then it says nothing. */
  readonly bound: number;
  /** σ_max of the block. */
  readonly ofBlock: number;
}

/** σ_max of a Hessian and its bounds. */
export interface HessianCheck {
  /** σ_max(H) of all parameters. */
  readonly sharpness: number;
  /** By blocks and weights. */
  readonly bounds: readonly CheckedBound[];
}

/** The exact Hessian of a network of Figure 2 and all bounds, both sides. */
export async function checkBounds(network: Figure2Network, data: Figure2Data, values: Values): Promise<HessianCheck> {
  const surface = figure2Surface(network, data);
  try {
    const point = surface.pointOf(values);
    const hessian = await exactCurvature(surface, point);
    const found = figure2Bounds[network.name](values, data);
    const needsOther = found.some(({ slack }) => slack === undefined);
    const gaussNewton = needsOther ? await exactCurvature(surface, point, 'gauss-newton') : hessian;
    const other = { ...hessian, values: hessian.values.map((value, i) => value - gaussNewton.values[i]) };
    const bounds = found.map(({ slack, ...bound }): CheckedBound => {
      const taken = slack ?? spectralNorm(blockOf(other, bound.block, bound.block));
      return {
        ...bound,
        slack: taken,
        bound: Math.max(0, bound.sigma ** 2 * bound.factor - taken),
        ofBlock: spectralNorm(blockOf(hessian, bound.block, bound.block)),
      };
    });
    return { sharpness: largestSize(eigenvalues(hessian)), bounds };
  } finally {
    await surface.release();
  }
}
