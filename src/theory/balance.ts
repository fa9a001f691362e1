import { z } from 'zod';
import { rescaleWeights } from '../attacks/index.js';
import { sizeOf } from '../graph/index.js';
import { type Architecture, modelOf } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { balanced as balancedFactors, balancing, type LinearRef, scaleUnit, type Unit } from '../symmetries/index.js';
import { parameterOf, type Values } from './bounds/bound.js';
import { Dense } from './bounds/dense.js';
import { type Figure2Name, type Figure2Network, figure2State } from './networks.js';

/** A network of Figure 2, written otherwise. */
export interface Rewritten {
  /** Its parameters; those that came in where nothing moved. */
  readonly values: Values;
  /** Whether a weight matrix has moved by more than float32's rounding. */
  readonly moved: boolean;
}

/** A network of Figure 2 as the attacks take models: its prediction as logits. */
function modelFor(network: Figure2Network) {
  const architecture: Architecture<Record<string, never>> = {
    name: `figure 2 ${network.name}`,
    description: 'a network of the paper’s Figure 2',
    config: z.strictObject({}),
    inputs: () => ({ x: { shape: network.input, dtype: 'float32' } }),
    head: () => ({ kind: 'classifier', size: sizeOf(network.target) }),
    fit: () => ({}),
    forward: (scope, { x }) => ({ logits: network.forward(scope, x) }),
  };
  return modelOf(architecture, {});
}

function shapesOf(network: Figure2Network): ReadonlyMap<string, readonly number[]> {
  return new Map(figure2State(network).map(({ name, shape }) => [name, shape]));
}

const dense = (name: string): LinearRef => ({ weight: `${name}.weight`, bias: `${name}.bias` });

/** Layers with ReLUs between them. */
const rectified: Readonly<Record<Figure2Name, readonly (readonly [LinearRef, LinearRef])[]>> = {
  mlp: [
    [dense('fc1'), dense('fc2')],
    [dense('fc2'), dense('fc3')],
    [dense('fc3'), dense('fc4')],
  ],
  cnn: [],
  transformer: [[{ weight: 'W_1' }, { weight: 'W_2' }]],
};

/** Sweeps over units that hang together at most, and the largest change of a factor's logarithm that ends them. */
const [mostSweeps, settled] = [1000, 1e-13];

/**
 * Balances a network of Figure 2 without changing its function: of the rewritings that leave every output, the one with the
 * shortest weights. Behind a ReLU each unit has a positive factor, its inputs' weights times c and its outputs' divided by c; that
 * holds all factors of whole layers whose product is 1. Between queries and keys, and between values and the layer behind them,
 * any invertible matrix may stand: each pair is written as `U Σ^½` and `Σ^½ Vᵀ` of its product. A tanh leaves nothing free.
 */
export function balanced(network: Figure2Network, values: Values): Rewritten {
  const shapes = shapesOf(network);
  const weights = new Map(
    Array.from(values, ([name, data]) => [name, { shape: shapes.get(name) ?? [], data: data.slice() }]),
  );
  const units = rectified[network.name].flatMap(([into, out]) =>
    Array.from(
      { length: shapes.get(into.weight)?.[0] ?? 0 },
      (_, from): Unit => ({
        times: [{ kind: 'outputs', layer: into, from, count: 1 }],
        over: [{ kind: 'inputs', layer: out, from, count: 1 }],
      }),
    ),
  );
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let most = 0;
    for (const unit of units) {
      const factor = balancing(weights, unit);
      scaleUnit(weights, unit, factor);
      most = Math.max(most, Math.abs(Math.log(factor)));
    }
    if (most < settled) break;
  }
  const found = new Map(Array.from(weights, ([name, { data }]) => [name, data]));
  if (network.name === 'transformer') balanceAttention(found);
  return rewritten(network, values, found);
}

/** Scores hold W_KᵀW_Q alone, what attention passes on W_O W_V. */
function balanceAttention(values: Map<string, Float64Array>): void {
  const width = 4;
  const square = (name: string) => new Dense(width, width, parameterOf(values, name));
  const scores = balancedFactors({ left: square('W_K').transposed().data, right: square('W_Q').data }, width);
  const passed = balancedFactors({ left: square('W_O').data, right: square('W_V').data }, width);
  values.set('W_K', new Dense(width, width, scores.left).transposed().data);
  values.set('W_Q', scores.right);
  values.set('W_O', passed.left);
  values.set('W_V', passed.right);
}

/**
 * Rescales a network of Figure 2 by the attack `rescale`, which needs neither data nor training: of the factors of whole layers
 * that change the output by one positive factor at most, those that bring the matrices' largest singular values nearest to
 * `sigma`. A classifier keeps every decision; **a regressor, as Figure 2's networks are, does not keep its function.**
 */
export function rescaled(network: Figure2Network, values: Values, sigma: number): Rewritten {
  const shapes = shapesOf(network);
  const weights = new Map(
    Array.from(values, ([name, data]) => [name, { shape: shapes.get(name) ?? [], data: Float32Array.from(data) }]),
  );
  try {
    const found = rescaleWeights(modelFor(network), weights, { sigma });
    return rewritten(
      network,
      values,
      new Map(Array.from(found, ([name, { data }]) => [name, Float64Array.from(data)])),
    );
  } catch (error) {
    // No factor is free.
    if (error instanceof InputError) return { values, moved: false };
    throw error;
  }
}

function rewritten(network: Figure2Network, before: Values, after: Values): Rewritten {
  const moved = network.weights.some((name) => {
    const [old, now] = [parameterOf(before, name), parameterOf(after, name)];
    const size = old.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return old.some((value, i) => Math.abs(now[i] - value) > 1e-5 * size);
  });
  return moved ? { values: after, moved } : { values: before, moved };
}
