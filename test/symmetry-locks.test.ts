import { describe, expect, it } from 'vitest';
import { canonicalizeOptions, canonicalizeWeights } from '../src/attacks/transforms/index.js';
import { exactSingularValues } from '../src/linalg/index.js';
import { lockContext, lockKey, lockMethods, relock, requireLockedBy } from '../src/locks/index.js';
import { cloneWeights, type Model, type StateDict, weightMatrices } from '../src/models/index.js';
import { drawn, drawnNames } from './support/drawn-models.js';

/** Singular values of all matrices. */
const spectra = (weights: StateDict) =>
  new Map(
    weightMatrices(weights).map(({ name, rows, columns }) => [
      name,
      exactSingularValues(weights.get(name)?.data ?? new Float32Array(), rows, columns),
    ]),
  );

/** The largest difference of singular values, as a share of the largest of each matrix. */
function apart(a: StateDict, b: StateDict): number {
  const other = spectra(b);
  return Math.max(
    ...[...spectra(a)].map(([name, values]) =>
      Math.max(...values.map((value, i) => Math.abs(value - (other.get(name)?.[i] ?? Number.NaN)) / values[0])),
    ),
  );
}

const canonical = (model: Model, weights: StateDict) =>
  canonicalizeWeights(model, weights, canonicalizeOptions.parse({}));

describe.each(['spectral-closed', 'rebalance'])('canonicalizing undoes %s', (name) => {
  it.each(drawnNames)('%s', async (architecture) => {
    const model = drawn(architecture);
    const locked = { ...model, weights: cloneWeights(model.weights) };
    const method = lockMethods.get(name);
    const context = lockContext({ model: locked, data: {}, seed: 5 }, { engine: { threads: 1 } });
    await method.run(context, method.options.parse({}));
    await context.release();
    expect(apart(model.weights, locked.weights)).toBeGreaterThan(1);
    expect(apart(canonical(model, model.weights), canonical(locked, locked.weights))).toBeLessThan(1e-4);
  });
});

it.each(drawnNames)('the key of a lock fits what it locks, and no other weights: %s', (architecture) => {
  const model = drawn(architecture);
  for (const spread of [2, 64]) {
    const key = (seed: number) => lockKey({ spread }, seed);
    const fits = (weights: StateDict, seed: number) => () => requireLockedBy(model, weights, key(seed), 'key');
    expect(fits(model.weights, 1), 'unlocked').toThrow("expected the key of this model's lock");
    for (const seed of [1, 2, 3]) {
      const locked = cloneWeights(model.weights);
      relock(model, locked, key(seed));
      expect(fits(locked, seed)).not.toThrow();
      expect(fits(locked, seed + 10)).toThrow("expected the key of this model's lock");
    }
  }
});
