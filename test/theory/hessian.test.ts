import { afterAll, describe, expect, it } from 'vitest';
import {
  type CurvatureMatrix,
  cumulative,
  eigenvalues,
  exactCurvature,
  extremeEigenvalues,
  type Figure2Name,
  figure2Networks,
  figure2Surface,
  type LossSurface,
  modelSurface,
  spectralDensity,
  spectralMeasure,
} from '../../src/theory/index.js';
import { largestDifference } from '../support/compare.js';
import { readFixture } from '../support/fixtures.js';
import { loadModelFromConfig } from './models.js';

interface Classifier {
  name: string;
  config: Record<string, unknown>;
  weights: Record<string, { shape: number[]; values: string }>;
  x: { shape: number[]; values: string };
  labels: number[];
  loss: number;
  hessian: string;
  eigenvalues: string;
  gaussNewton: string;
  empiricalFisher: string;
}

interface Network {
  name: Figure2Name;
  size: number;
  weights: Record<string, string>;
  x: string;
  y: string;
  loss: number;
  eigenvalues: string;
  vectors: string[];
  products: string[];
}

const fixture = readFixture<{ classifiers: Classifier[]; figure2: Network[] }>('hessian.json');
const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
const singles = (base64: string) => new Float32Array(bytes(base64));
const doubles = (base64: string) => new Float64Array(bytes(base64));

/** The upper triangle, row by row, as the oracle stores it, with the parameters in its order. */
function triangle({ values, blocks, size: n }: CurvatureMatrix, names: readonly string[]): Float64Array {
  const places = names.flatMap((name) => {
    const block = blocks.find((each) => each.name === name);
    return Array.from({ length: block?.size ?? 0 }, (_, i) => (block?.offset ?? 0) + i);
  });
  return Float64Array.from(places.flatMap((row, i) => places.slice(i).map((column) => values[row * n + column])));
}

const open: LossSurface[] = [];
afterAll(() => Promise.all(open.map((surface) => surface.release())));

describe.each(fixture.classifiers.map((each) => [each.name, each] as const))('%s of the library', (_, stored) => {
  const model = loadModelFromConfig(
    { ...stored.config, architecture: stored.name },
    new Map(
      Object.entries(stored.weights).map(([name, { shape, values }]) => [name, { shape, data: singles(values) }]),
    ),
  );
  const { surface, point } = modelSurface({
    model,
    batch: { x: singles(stored.x.values), labels: Int32Array.from(stored.labels) },
    specs: {
      x: { shape: stored.x.shape, dtype: 'float32' },
      labels: { shape: [stored.labels.length], dtype: 'int32' },
    },
    engine: { threads: 1 },
  });
  open.push(surface);
  const n = surface.size;

  it.each([
    ['hessian', 'hessian'],
    ['gauss-newton', 'gaussNewton'],
    ['empirical-fisher', 'empiricalFisher'],
  ] as const)('has the %s matrix of torch.func, each element to 1e-6', async (kind, key) => {
    const matrix = await exactCurvature(surface, point, kind);
    const values = triangle(matrix, Object.keys(stored.weights));
    const { error, index, found, expected } = largestDifference(values, singles(stored[key]));
    expect(error, `${index}: ${found}, expected ${expected}`).toBeLessThan(1e-6);
  });

  it('has its eigenvalues, and the ends of them by Lanczos to 1e-4', async () => {
    const wanted = doubles(stored.eigenvalues);
    const top = Math.max(...wanted.map(Math.abs));
    const found = eigenvalues(await exactCurvature(surface, point));
    found.forEach((value, i) => {
      expect(Math.abs(value - wanted[i])).toBeLessThan(1e-9 * top);
    });
    const product = (v: Float64Array) => surface.product('hessian', point, v);
    const { smallest, largest, steps } = await extremeEigenvalues(product, n);
    expect(Math.abs(largest.value / wanted[n - 1] - 1)).toBeLessThan(1e-4);
    expect(Math.abs(smallest.value / wanted[0] - 1)).toBeLessThan(1e-4);
    // The bounds that it gives hold.
    expect(Math.abs(largest.value - wanted[n - 1])).toBeLessThanOrEqual(largest.error + 1e-12 * top);
    expect(steps).toBeLessThan(n);
  });

  it('has its loss and gradient: a difference quotient of the gradient is a product', async () => {
    expect((await surface.evaluate(point)).loss).toBeCloseTo(stored.loss, 12);
    const v = Float64Array.from({ length: n }, (_, i) => Math.cos(3 * i));
    const step = 1e-6;
    const at = async (t: number) => (await surface.evaluate(point.map((value, i) => value + t * v[i]))).gradient;
    const [ahead, behind] = [await at(step), await at(-step)];
    const quotient = ahead.map((value, i) => (value - behind[i]) / (2 * step));
    const { error } = largestDifference(quotient, await surface.product('hessian', point, v));
    expect(error).toBeLessThan(1e-5);
  });

  // For the larger one it takes as long as all other tests here.
  it.runIf(n < 100)(
    'has a spectral density whose distribution is that of the eigenvalues, and moments that are exact for one vector',
    async () => {
      const wanted = doubles(stored.eigenvalues);
      const product = (v: Float64Array) => surface.product('hessian', point, v);
      const density = await spectralDensity(product, n, { probes: 30, steps: 40 });
      expect(density.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
      const moment = density.values.reduce((sum, value, i) => sum + density.weights[i] * value, 0);
      const spread = Math.sqrt(mean(wanted.map((value) => value * value)));
      // The trace by 30 random vectors: its deviation is √(2/30) of the Frobenius norm over n.
      expect(Math.abs(moment - mean(wanted))).toBeLessThan((4 * Math.sqrt(2 / 30) * spread) / Math.sqrt(n));
      const top = wanted[n - 1];
      for (const place of [-0.01 * top, 0.01 * top, 0.1 * top, 0.5 * top]) {
        const share = wanted.filter((value) => value <= place).length / n;
        expect(Math.abs(cumulative(density, place) - share)).toBeLessThan(0.08);
      }
      const { gradient } = await surface.evaluate(point);
      const measure = await spectralMeasure(product, gradient, 20);
      const along = await product(gradient);
      const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
      const exact = [dot(gradient, along), dot(along, along)].map((value) => value / dot(gradient, gradient));
      for (const [power, value] of exact.entries()) {
        const found = measure.values.reduce((sum, place, i) => sum + measure.weights[i] * place ** (power + 1), 0);
        expect(found / value).toBeCloseTo(1, 10);
      }
    },
  );
});

describe.each(fixture.figure2.map((each) => [each.name, each] as const))('the %s of Figure 2', (name, stored) => {
  const surface = figure2Surface(figure2Networks[name], {
    size: stored.size,
    x: Float64Array.from(singles(stored.x)),
    y: Float64Array.from(singles(stored.y)),
  });
  open.push(surface);
  const point = surface.pointOf(new Map(Object.entries(stored.weights).map(([key, values]) => [key, singles(values)])));

  it('has the loss, the Hessian products and the eigenvalues of PyTorch', async () => {
    expect((await surface.evaluate(point)).loss).toBeCloseTo(stored.loss, 12);
    for (const [i, vector] of stored.vectors.entries()) {
      const product = await surface.product('hessian', point, Float64Array.from(singles(vector)));
      expect(largestDifference(product, doubles(stored.products[i])).error).toBeLessThan(1e-9);
    }
    const wanted = doubles(stored.eigenvalues);
    const found = eigenvalues(await exactCurvature(surface, point));
    const top = Math.max(...wanted.map(Math.abs));
    found.forEach((value, i) => {
      expect(Math.abs(value - wanted[i])).toBeLessThan(1e-10 * top);
    });
  });
});
