import { describe, expect, it } from 'vitest';
import {
  balanced,
  type Figure2Name,
  figure2Data,
  figure2Networks,
  figure2Outputs,
  figure2Weights,
  largestSingularValuesOf,
  rescaled,
  type Values,
  withLargestSingularValue,
} from '../../src/theory/index.js';
import { controlledRows, expectRow } from './controlled.js';

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** How far two arrays are apart at most, of the largest number. */
const apart = (a: Float64Array, b: Float64Array) => largest(a.map((value, i) => value - b[i])) / largest(a);

function outputsOf(name: Figure2Name, values: Values) {
  const network = figure2Networks[name];
  return figure2Outputs(network, figure2Data(network, 1), values);
}

/** A network with every σ_max set; biases are 0. */
const withSigma = (name: Figure2Name, sigma: number) =>
  withLargestSingularValue(figure2Networks[name], figure2Weights(figure2Networks[name], 1), sigma);

/** The same with biases. */
const withBiases = (values: Values): Values =>
  new Map(
    Array.from(values, ([name, data]) => [
      name,
      name.endsWith('bias') ? data.map((_, i) => 0.3 * Math.sin(7 * i + name.length)) : data,
    ]),
  );

const part = (values: Values, name: string) => values.get(name) ?? new Float64Array();
const squares = (data: Float64Array) => data.reduce((sum, value) => sum + value * value, 0);

describe('balancing', () => {
  it.each([
    ['mlp', 1],
    ['mlp', 32],
    ['transformer', 1],
    ['transformer', 32],
  ] as const)('leaves every output of the %s at σ_max %d, and shortens its weights', async (name, sigma) => {
    const values = withBiases(withSigma(name, sigma));
    const { values: even, moved } = balanced(figure2Networks[name], values);
    expect(moved).toBe(true);
    expect(apart(await outputsOf(name, values), await outputsOf(name, even))).toBeLessThan(1e-12);
    const length = (of: Values) => [...of.values()].reduce((sum, data) => sum + squares(data), 0);
    expect(length(even)).toBeLessThan(length(values));
    for (const weight of figure2Networks[name].weights) {
      expect(part(even, weight), weight).not.toEqual(part(values, weight));
    }
  });

  it('gives the same network whatever its units were multiplied by', () => {
    const values = withBiases(withSigma('mlp', 4));
    const factors = Array.from({ length: 8 }, (_, unit) => Math.exp(2 * Math.sin(3 * unit)));
    const scattered = new Map(values);
    scattered.set(
      'fc2.weight',
      part(values, 'fc2.weight').map((value, i) => value * factors[Math.floor(i / 8)]),
    );
    scattered.set(
      'fc2.bias',
      part(values, 'fc2.bias').map((value, unit) => value * factors[unit]),
    );
    scattered.set(
      'fc3.weight',
      part(values, 'fc3.weight').map((value, i) => value / factors[i % 8]),
    );
    const [one, other] = [values, scattered].map((each) => balanced(figure2Networks.mlp, each).values);
    for (const [name, data] of one) expect(apart(data, part(other, name)), name).toBeLessThan(1e-9);
  });

  it('makes what goes into each unit behind a ReLU as long as what comes out', () => {
    const { values } = balanced(figure2Networks.transformer, withSigma('transformer', 4));
    const [into, out] = [part(values, 'W_1'), part(values, 'W_2')];
    for (let unit = 0; unit < 8; unit++) {
      const column = out.filter((_, i) => i % 8 === unit);
      expect(squares(into.subarray(4 * unit, 4 * unit + 4)) / squares(column)).toBeCloseTo(1, 10);
    }
  });

  it('finds nothing to move behind tanh', () => {
    const values = withSigma('cnn', 8);
    expect(balanced(figure2Networks.cnn, values)).toEqual({ values, moved: false });
  });
});

describe('rescaling', () => {
  it.each([
    ['mlp', 4],
    ['mlp', 32],
    ['cnn', 4],
  ] as const)('of the %s from σ_max %d does not keep what a regressor says: outputs shrink', async (name, sigma) => {
    const network = figure2Networks[name];
    const values = withSigma(name, sigma);
    const { values: found, moved } = rescaled(network, values, 1.5);
    expect(moved).toBe(true);
    // The MLP's four layers are free, of the CNN the last one alone.
    const factor = (1.5 / sigma) ** (name === 'mlp' ? 4 : 1);
    const [before, after] = [await outputsOf(name, values), await outputsOf(name, found)];
    expect(
      apart(
        before.map((value) => factor * value),
        after,
      ),
    ).toBeLessThan(1e-5);
    const sigmas = [...largestSingularValuesOf(network, found).values()];
    expect(sigmas.at(-1)).toBeCloseTo(1.5, 5);
  });

  it('of the transformer with every σ_max set finds no factor that moves it', () => {
    const values = withSigma('transformer', 8);
    expect(rescaled(figure2Networks.transformer, values, 1.5)).toEqual({ values, moved: false });
  });
});

// The other rows are in theory-numbers.slow.ts.
it.each(controlledRows.filter(({ network, sigma }) => network === 'mlp' && sigma === 4).map((row) => [row]))(
  'balanced, the MLP at σ_max 4 takes as many steps as set; rescaled as few as it was drawn with',
  (row) => expectRow(row),
);
