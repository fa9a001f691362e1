import { z } from 'zod';
import { rescaleWeights } from '../attacks/index.js';
import { sizeOf } from '../graph/index.js';
import { type Architecture, modelOf } from '../models/index.js';
import { InputError } from '../registry/index.js';
import type { Values } from './bounds/bound.js';
import { largestSingularValuesOf } from './figure2.js';
import { type Figure2Network, figure2State } from './networks.js';

/** A network of Figure 2 as the attacks take models: its prediction as logits. */
function architectureOf(network: Figure2Network): Architecture<Record<string, never>> {
  return {
    name: `figure 2 ${network.name}`,
    description: 'a network of the paper’s Figure 2',
    config: z.strictObject({}),
    inputs: () => ({ x: { shape: network.input, dtype: 'float32' } }),
    head: () => ({ kind: 'classifier', size: sizeOf(network.target) }),
    fit: () => ({}),
    forward: (scope, { x }) => ({ logits: network.forward(scope, x) }),
  };
}

/**
 * Layer-wise balancing of a network of Figure 2: of all rescalings that leave every decision (the output changes by one
 * positive factor at most), that which brings the matrices' largest singular values nearest to `sigma`. It is the attack
 * `rescale`, which needs neither data nor training.
 *
 * @returns The balanced values, and whether a weight matrix has moved by more than rounding.
 */
export function balanced(network: Figure2Network, values: Values, sigma: number): { values: Values; moved: boolean } {
  const shapes = new Map(figure2State(network).map(({ name, shape }) => [name, shape]));
  const weights = new Map(
    Array.from(values, ([name, data]) => [name, { shape: shapes.get(name) ?? [], data: Float32Array.from(data) }]),
  );
  const rescaled = tryRescale(network, weights, sigma);
  if (!rescaled) return { values, moved: false };
  const found: Values = new Map(Array.from(rescaled, ([name, { data }]) => [name, Float64Array.from(data)]));
  const [before, after] = [values, found].map((each) => largestSingularValuesOf(network, each));
  const moved = network.weights.some((name) => {
    const ratio = (after.get(name) ?? 0) / (before.get(name) ?? 0);
    return Math.abs(ratio - 1) > 1e-5;
  });
  return { values: found, moved };
}

function tryRescale(network: Figure2Network, weights: Parameters<typeof rescaleWeights>[1], sigma: number) {
  try {
    return rescaleWeights(modelOf(architectureOf(network), {}), weights, { sigma });
  } catch (error) {
    // No freedom to rescale: the network is as balanced as it can be.
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
