import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/registry/index.js';
import { extremeEigenvalues, lanczos, spectralDensity, spectralMeasure } from '../../src/theory/index.js';

const diagonal = (values: readonly number[]) => async (v: Float64Array) => v.map((value, i) => value * values[i]);
const of = (n: number, value: (i: number) => number) => Array.from({ length: n }, (_, i) => value(i));

describe('extremeEigenvalues', () => {
  it.each<[string, number[]]>([
    ['one number', [3]],
    ['all equal', of(50, () => -2)],
    ['zero', of(5, () => 0)],
    ['many small ones and an outlier', of(500, (i) => (i === 7 ? 1000 : i / 500))],
    ['of both signs', of(300, (i) => i - 150)],
    ['over twelve orders of magnitude', of(200, (i) => 10 ** (-6 + (12 * i) / 199))],
  ])('finds both ends: %s', async (_, values) => {
    const { smallest, largest } = await extremeEigenvalues(diagonal(values), values.length);
    const size = Math.max(...values.map(Math.abs));
    expect(Math.abs(largest.value - Math.max(...values))).toBeLessThanOrEqual(1e-6 * size);
    expect(Math.abs(smallest.value - Math.min(...values))).toBeLessThanOrEqual(1e-6 * size);
  });

  it('says how far it may be off where its steps run out', async () => {
    const values = of(400, (i) => Math.sin(i) * 10);
    const { largest, steps } = await extremeEigenvalues(diagonal(values), 400, { maxSteps: 5 });
    expect(steps).toBe(5);
    expect(largest.error).toBeGreaterThan(0.01);
    const nearest = Math.min(...values.map((value) => Math.abs(value - largest.value)));
    expect(nearest).toBeLessThanOrEqual(largest.error);
  });

  it('refuses a product that is not finite', async () => {
    await expect(extremeEigenvalues(async (v) => v.map(() => Number.NaN), 4)).rejects.toThrow(InputError);
  });
});

describe('lanczos', () => {
  it('ends where the space of the start ends', async () => {
    const start = Float64Array.of(1, 0, 1, 0);
    const { diagonal: d, off } = await lanczos(diagonal([1, 2, 3, 4]), start, 10);
    expect(d).toHaveLength(2);
    expect(off[1]).toBe(0);
  });
});

describe('spectralMeasure', () => {
  it('is the weights of the vector where its space is small', async () => {
    const { values, weights } = await spectralMeasure(diagonal([5, 1, 7]), Float64Array.of(3, 4, 0), 10);
    expect(Array.from(values, (value) => Math.round(1e9 * value) / 1e9)).toEqual([1, 5]);
    expect(weights[0]).toBeCloseTo(16 / 25, 12);
    expect(weights[1]).toBeCloseTo(9 / 25, 12);
  });
});

describe('spectralDensity', () => {
  it('has the share of eigenvalues in each of two clusters', async () => {
    const values = of(1000, (i) => (i % 4 === 0 ? 10 + (i % 7) / 100 : (i % 5) / 100));
    const density = await spectralDensity(diagonal(values), 1000, { probes: 10, steps: 20, seed: 3 });
    const high = density.values.reduce((sum, value, i) => (value > 5 ? sum + density.weights[i] : sum), 0);
    // Four standard deviations: √(2 · ¼ · ¾ / 1000 / 10).
    expect(Math.abs(high - 0.25)).toBeLessThan(4 * 0.0062);
  });

  it('refuses no probes', async () => {
    await expect(spectralDensity(diagonal([1]), 1, { probes: 0 })).rejects.toThrow(InputError);
  });
});
