import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { type ScaleSymmetries, scaleSymmetries } from '../../graph/index.js';
import { type ModelSpec, type StateDict, smallestBatch, type Weight, weightMatrices } from '../../models/index.js';
import { weightInput } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { addFlops, countedTriplets, uncounted } from '../preparation/closed-forms.js';
import type { Transform } from './transform.js';

/** Options of the transform `rescale`. */
export const rescaleOptions = z.strictObject({
  sigma: z
    .number()
    .positive()
    .default(2)
    .describe('largest singular value that each weight matrix is brought to, as near as the network allows'),
});

/**
 * Multiplies weights by factors that keep every decision of the network: a ReLU network's function only changes by one
 * positive factor when each layer's weight is divided by c_l and its bias by c_1⋯c_l. Undoes, without data or training, what
 * a lock raised by scale alone. Of all such factors it takes those that bring each matrix's σ1 nearest to `sigma` on a
 * logarithmic scale; the last layer's scale is the temperature of the outputs, which no decision depends on.
 *
 * @returns New weights.
 * @throws InputError when the network allows no rescaling of a weight matrix: that would be plain fine-tuning under
 * another name.
 */
export function rescaleWeights(
  model: ModelSpec,
  weights: StateDict,
  { sigma }: z.output<typeof rescaleOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const symmetries = symmetriesOf(model);
  const wanted = new Map<string, number>();
  for (const { name, rows, columns } of weightMatrices(weights)) {
    const data = weights.get(name)?.data ?? new Float32Array();
    const [largest] = countedTriplets(data, { rows, columns, k: 1, seed: 1, name }, tally).sigma;
    if (largest > 0) wanted.set(name, Math.log(sigma / largest));
  }
  const factors = nearestFactors(symmetries, wanted);
  if (![...wanted.keys()].some((name) => factors.has(name))) {
    throw new InputError(`rescale: expected a network with layers that can be rescaled, found none (${whatAllows})`);
  }
  for (const name of factors.keys()) addFlops(tally, weights.get(name)?.data.length ?? 0);
  return new Map(
    [...weights].map(([name, { shape, data }]) => [
      name,
      { shape, data: rescaled(data, factors.get(name) ?? 0, symmetries.variances.get(name)) },
    ]),
  );
}

const whatAllows = 'ReLU, pools, sums and batch normalization allow it';

/** The scale symmetries of a model's output, by the names of its weights. */
function symmetriesOf(model: ModelSpec): ScaleSymmetries {
  const { outputs, scope } = model.build(smallestBatch(model));
  const names = scope.state.filter(({ kind }) => kind !== 'counter').map(({ name }) => name);
  const nameOf = new Map(names.map((name) => [weightInput(name), name]));
  const renamed = <T>(entries: ReadonlyMap<string, T>) =>
    new Map([...entries].map(([input, value]) => [nameOf.get(input) ?? input, value]));
  const { basis, variances } = scaleSymmetries(outputs[taskOf(model).output], nameOf.keys());
  return {
    basis: renamed(new Map([...basis].map(([input, factors]) => [input, renamed(factors)]))),
    variances: renamed(variances),
  };
}

/** Whether some rescaling changes a weight matrix. */
function canRescale(model: ModelSpec, weights: StateDict): boolean {
  const matrices = weightMatrices(weights);
  const { basis } = symmetriesOf(model);
  return [...basis.values()].some((vector) => matrices.some(({ name }) => vector.has(name)));
}

/** Values times a factor; a variance of a batch normalization scales so that `v + ε` does, and stays above 0. */
function rescaled(data: Float32Array, logFactor: number, epsilon: number | undefined): Float32Array {
  const factor = Math.exp(logFactor);
  if (epsilon === undefined) return data.map((value) => value * factor);
  return data.map((value) => Math.max((value + epsilon) * factor - epsilon, 0));
}

/** Weight of all free factors beside those of the matrices: decides what the matrices leave open, towards no change. */
const ridge = 1e-9;

/**
 * The log factors of a symmetry that come nearest to the wanted ones: with one unknown a basis vector, the least squares
 * solution by the normal equations (a few dozen unknowns with coefficients of 1 and 2, so their condition is harmless).
 */
function nearestFactors({ basis }: ScaleSymmetries, wanted: ReadonlyMap<string, number>): Map<string, number> {
  const vectors = [...basis.values()];
  const moving = vectors.filter((vector) => [...wanted.keys()].some((name) => vector.has(name)));
  const system = moving.map((a, row) => {
    const equation = moving.map((b, column) => {
      let sum = row === column ? ridge : 0;
      for (const name of wanted.keys()) sum += (a.get(name) ?? 0) * (b.get(name) ?? 0);
      return sum;
    });
    let target = 0;
    for (const [name, value] of wanted) target += (a.get(name) ?? 0) * value;
    return [...equation, target];
  });
  const chosen = solve(system);
  const factors = new Map<string, number>();
  moving.forEach((vector, index) => {
    for (const [name, coefficient] of vector) {
      factors.set(name, (factors.get(name) ?? 0) + coefficient * chosen[index]);
    }
  });
  return factors;
}

/** Solves a positive definite system, `[n, n + 1]` with the right side last, by elimination. */
function solve(system: number[][]): number[] {
  const n = system.length;
  for (let pivot = 0; pivot < n; pivot++) {
    for (let row = pivot + 1; row < n; row++) {
      const factor = system[row][pivot] / system[pivot][pivot];
      for (let column = pivot; column <= n; column++) system[row][column] -= factor * system[pivot][column];
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let row = n - 1; row >= 0; row--) {
    let rest = system[row][n];
    for (let column = row + 1; column < n; column++) rest -= system[row][column] * solution[column];
    solution[row] = rest / system[row][row];
  }
  return solution;
}

/** Brings the largest singular values of all layers to a common size without changing a decision. */
export const rescaleTransform: Transform<z.output<typeof rescaleOptions>> = {
  name: 'rescale',
  alsoOnRandom: true,
  description: 'rescale the layers so that every decision stays and each largest singular value is small',
  options: rescaleOptions,
  isSeeded: false,
  label: { alone: 'rescaled', joined: 'rescale' },
  doing: 'rescaling the layers',
  does: 'divides the layers by factors that change no decision',
  applies: ({ model, weights }) =>
    canRescale(model, weights) ? undefined : `finds no layer that can be rescaled (${whatAllows})`,
  apply: ({ model, weights, tally }, options) => rescaleWeights(model, weights, options, tally),
};
