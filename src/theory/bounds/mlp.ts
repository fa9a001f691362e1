import type { Figure2Data } from '../networks.js';
import { type BlockBound, parameterOf, type Values } from './bound.js';
import { Dense, Gram, squared } from './dense.js';
import { type Chain, jacobianAt } from './printed.js';

/** What a ReLU network computes of one example. */
interface Pass {
  /** Inputs of the layers: the example, then the hidden values. */
  readonly inputs: readonly Float64Array[];
  /** Which units of each hidden layer are above 0, as 1 or 0. */
  readonly active: readonly Float64Array[];
}

/** Weights and biases of linear layers `fc1`, `fc2`, …. */
export interface Layers {
  /** `[out, in]` each. */
  readonly weights: readonly Dense[];
  /** `[out]` each. */
  readonly biases: readonly Float64Array[];
}

/** The layers of a multi-layer perceptron, from its parameters. */
export function layersOf(values: Values, inputSize: number): Layers {
  const weights: Dense[] = [];
  const biases: Float64Array[] = [];
  for (let layer = 1; values.has(`fc${layer}.weight`); layer++) {
    const data = parameterOf(values, `fc${layer}.weight`);
    const columns = weights.at(-1)?.rows ?? inputSize;
    weights.push(new Dense(data.length / columns, columns, data));
    biases.push(parameterOf(values, `fc${layer}.bias`));
  }
  return { weights, biases };
}

function passOf({ weights, biases }: Layers, x: Float64Array): Pass {
  const inputs = [x];
  const active: Float64Array[] = [];
  for (let layer = 0; layer < weights.length - 1; layer++) {
    const z = weights[layer].apply(inputs[layer]).map((value, unit) => value + biases[layer][unit]);
    active.push(z.map((value) => Number(value > 0)));
    inputs.push(z.map((value) => Math.max(value, 0)));
  }
  return { inputs, active };
}

/**
 * Bounds for a ReLU network with mean squared error `1/(N d) Σ |ŷ − y|²`. With D the active units of an example, a the input of
 * a layer and `J = ∂ ŷ / ∂ z` the block of layer i is exactly `2/(N d) Σ JᵀJ ⊗ a aᵀ`, a sum of positive semidefinite terms, each
 * of which is looked at along one test vector:
 *
 * - the last weight W_L, in the block below it: `A = 2/(N d) · max_k v_k² λ_max(Σ_{k active} a aᵀ)`, v the top right singular vector;
 * - W_j, in the block above it: `A = 2/(N d) · max_k u_k² λ_min(Σ_{k active} |J v|² a aᵀ)`, u its top left singular vector, v any
 *   unit vector of the block above (here that which the outputs depend on most).
 *
 * Of a layer with biases λ_min is that of the inputs less their weighted mean. docs/theory.md has the proofs.
 */
export function mlpBounds(values: Values, { size, x, y }: Figure2Data): BlockBound[] {
  const layers = layersOf(values, x.length / size);
  const { weights, biases } = layers;
  const scale = 2 / y.length;
  const width = weights[0].columns;
  const passes = Array.from({ length: size }, (_, n) => passOf(layers, x.subarray(n * width, (n + 1) * width)));
  const last = weights.length - 1;
  const bounds: BlockBound[] = [];
  for (let j = 0; j < last; j++) {
    const jacobians = passes.map((pass) => jacobianAt({ weights, slopes: pass.active }, j + 1));
    const along = mostUsed(
      jacobians,
      passes.map(({ inputs }) => squared(inputs[j + 1])),
    );
    const { sigma, u } = weights[j].top();
    const hasBias = biases[j].some((value) => value !== 0);
    let best = 0;
    for (let unit = 0; unit < weights[j].rows; unit++) {
      const gram = new Gram(weights[j].columns);
      passes.forEach(({ inputs, active }, n) => {
        if (active[j][unit] === 1) gram.add(inputs[j], squared(jacobians[n].apply(along)));
      });
      best = Math.max(best, u[unit] ** 2 * (hasBias ? gram.leastCentred() : gram.least()));
    }
    bounds.push({ block: name(j + 1), weight: name(j), sigma, factor: scale * best, slack: 0 });
  }
  const { sigma, v } = weights[last].top();
  let best = 0;
  for (let unit = 0; unit < weights[last].columns; unit++) {
    const gram = new Gram(weights[last - 1].columns);
    for (const { inputs, active } of passes) gram.add(inputs[last - 1], active[last - 1][unit]);
    best = Math.max(best, v[unit] ** 2 * gram.largest());
  }
  bounds.push({ block: name(last - 1), weight: name(last), sigma, factor: scale * best, slack: 0 });
  return bounds;
}

/** The unit vector that the outputs depend on most, over all examples. */
function mostUsed(jacobians: readonly Dense[], weights: readonly number[]): Float64Array {
  const gram = new Gram(jacobians[0].columns);
  jacobians.forEach((jacobian, n) => {
    for (let row = 0; row < jacobian.rows; row++) gram.add(jacobian.row(row), weights[n]);
  });
  return gram.sum.top().u;
}

function name(layer: number): string {
  return `fc${layer + 1}.weight`;
}

/** What a network computes of each example, for the bounds as the paper prints them: D is 1 where a unit is active. */
export function mlpChains(values: Values, { size, x }: Figure2Data): Chain[] {
  const layers = layersOf(values, x.length / size);
  const width = layers.weights[0].columns;
  return Array.from({ length: size }, (_, n) => {
    const { inputs, active } = passOf(layers, x.subarray(n * width, (n + 1) * width));
    return { weights: layers.weights, slopes: active, windows: inputs.slice(0, -1).map((input) => [input]) };
  });
}
