import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { exactSingularValues, RandomStream, svd } from '../../linalg/index.js';
import { initializeModel, type StateDict, saveModel, type Weight } from '../../models/index.js';
import { AttackRunner } from '../workers/task.js';
import {
  addNoise,
  clipEdgeOptions,
  clipPartly,
  clipProfileOptions,
  clipProfileTransform,
  clipRaised,
  clipToEdge,
  clipToProfile,
  interpolateWeights,
  marchenkoPasturMedian,
  noiseEdge,
  noiseOptions,
  partialClipOptions,
  pruneOptions,
  pruneSmallest,
  quantizeOptions,
  quantizeRows,
  raisedOptions,
  subtractOptions,
  subtractTop,
} from './index.js';

const dataOf = (weights: StateDict, name: string) => weights.get(name)?.data ?? new Float32Array();
const sigmaOf = (weights: StateDict, name: string) => {
  const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
  return [...exactSingularValues(data, shape[0], data.length / shape[0])];
};

/** Normal noise of a deviation. */
function noise(rows: number, columns: number, deviation: number): Weight {
  const data = new Float32Array(rows * columns);
  new RandomStream(11, `noise ${rows} ${columns}`).fillNormal(data, 0, deviation);
  return { shape: [rows, columns], data };
}

/** A matrix whose k largest singular values are multiplied, as a lock does it. */
function raised({ shape, data }: Weight, k: number, factor: number): Weight {
  const [rows, columns] = [shape[0], data.length / shape[0]];
  const { sigma, u, v } = svd(data, rows, columns);
  const rank = sigma.length;
  const changed = data.map((value, at) => {
    const [i, c] = [Math.floor(at / columns), at % columns];
    let sum = value;
    for (let j = 0; j < k; j++) sum += (factor - 1) * sigma[j] * u[i * rank + j] * v[c * rank + j];
    return sum;
  });
  return { shape, data: changed };
}

/** Length of the difference, as a share of the expected matrix's length. */
function distance(found: Float32Array, expected: Float32Array): number {
  const length = (values: Float32Array) => Math.hypot(...values);
  return length(found.map((value, at) => value - expected[at])) / length(expected);
}

describe('clip-edge', () => {
  it('knows the median of the Marchenko-Pastur distribution', () => {
    // Gavish and Donoho, table IV: the threshold of square matrices is 4/√3 of the noise and 2.858 of the median singular value.
    expect(Math.abs(Math.sqrt(marchenkoPasturMedian(1)) - 4 / Math.sqrt(3) / 2.8582)).toBeLessThan(1e-4);
    expect(Math.abs(marchenkoPasturMedian(1e-4) - 1)).toBeLessThan(1e-3);
  });

  it.each([
    [60, 60],
    [50, 120],
    [120, 50],
  ])('finds the edge of noise, %i by %i, also below what was raised', (rows, columns) => {
    const clean = noise(rows, columns, 0.3);
    const sigma = exactSingularValues(clean.data, rows, columns);
    expect(Math.abs(noiseEdge(sigma, rows, columns) / sigma[0] - 1)).toBeLessThan(0.08);
    const weights = new Map([['w', raised(clean, 3, 50)]]);
    const undone = clipToEdge(weights, clipEdgeOptions.parse({}));
    expect(distance(dataOf(weights, 'w'), clean.data)).toBeGreaterThan(5);
    expect(distance(dataOf(undone, 'w'), clean.data)).toBeLessThan(0.05);
    const [before, after] = [sigmaOf(weights, 'w'), sigmaOf(undone, 'w')];
    const edge = noiseEdge(before, rows, columns);
    after.forEach((value, j) => void expect(Math.abs(value - Math.min(before[j], edge)) / edge).toBeLessThan(1e-5));
    const loose = clipToEdge(weights, clipEdgeOptions.parse({ factor: 2 }));
    expect(Math.abs(sigmaOf(loose, 'w')[0] / (2 * edge) - 1)).toBeLessThan(1e-5);
  });
});

describe('clip-profile', () => {
  const layers = () =>
    new Map([0, 1, 2].map((at) => [`layer.${at}.dense.weight`, { ...noise(20 + at, 30, 0.1 * (1 + at)) }]));

  it('undoes what was raised in one layer alone, whatever the scale of the others', () => {
    const clean = layers();
    const weights = new Map<string, Weight>(clean);
    weights.set('layer.1.dense.weight', raised(clean.get('layer.1.dense.weight') ?? noise(1, 1, 1), 2, 30));
    const undone = clipToProfile(weights, clipProfileOptions.parse({}));
    const name = 'layer.1.dense.weight';
    expect(sigmaOf(weights, name)[0] / sigmaOf(clean, name)[0]).toBeCloseTo(30, 3);
    expect(sigmaOf(undone, name)[0] / sigmaOf(clean, name)[0]).toBeLessThan(1.2);
    expect(sigmaOf(undone, name)[0] / sigmaOf(clean, name)[0]).toBeGreaterThan(0.8);
    expect(distance(dataOf(undone, name), dataOf(clean, name))).toBeLessThan(0.2);
    for (const other of ['layer.0.dense.weight', 'layer.2.dense.weight']) {
      expect(distance(dataOf(undone, other), dataOf(clean, other))).toBeLessThan(0.2);
    }
  });

  it('needs two layers of a kind', () => {
    const weights = new Map([['head.weight', noise(4, 4, 1)]]);
    const model = initializeModel('mlp', {}, 1);
    const options = clipProfileOptions.parse({});
    expect(clipProfileTransform.applies?.({ model, weights, isLocked: true }, options)).toBe(
      'finds no two layers of the same kind',
    );
    expect(() => clipToProfile(weights, options)).toThrow('expected two layers of the same kind');
  });
});

describe('clip-partly', () => {
  const weights = new Map([['fc1.weight', raised(noise(12, 18, 1), 3, 40)]]);
  const options = (share: number) => partialClipOptions.parse({ share, topK: 3, lead: { include: [] } });

  it('all the way is a clip', () => {
    const clipped = clipRaised(weights, raisedOptions.parse({ topK: 3, lead: { include: [] } }));
    expect(distance(dataOf(clipPartly(weights, options(1)), 'fc1.weight'), dataOf(clipped, 'fc1.weight'))).toBeLessThan(
      1e-6,
    );
  });

  it('half the way is the geometric mean of what was and the first one below', () => {
    const before = sigmaOf(weights, 'fc1.weight');
    const after = sigmaOf(clipPartly(weights, options(0.5)), 'fc1.weight');
    before.forEach((value, j) => {
      const expected = j < 3 ? Math.sqrt(value * before[3]) : value;
      expect(Math.abs(after[j] - expected) / expected, `σ${j + 1}`).toBeLessThan(1e-4);
    });
  });
});

it('subtract takes the largest directions out and leaves the others', () => {
  const weights = new Map([
    ['w', noise(12, 18, 1)],
    ['bias', { shape: [12], data: new Float32Array(12).fill(1) }],
  ]);
  const found = subtractTop(weights, subtractOptions.parse({ topK: 5 }));
  const [before, after] = [sigmaOf(weights, 'w'), sigmaOf(found, 'w')];
  after.forEach((value, j) => void expect(Math.abs(value - (before[j + 5] ?? 0)) / before[0]).toBeLessThan(1e-6));
  expect(dataOf(found, 'bias')).toEqual(dataOf(weights, 'bias'));
  expect(() => subtractTop(weights, subtractOptions.parse({ include: ['x*'] }))).toThrow(
    'subtract: expected a pattern that matches a weight matrix, got x*',
  );
});

describe('quantize', () => {
  it('rounds each row by its own largest number', () => {
    const weights = new Map([
      ['w', { shape: [3, 4], data: Float32Array.of(0.7, -0.31, 0.1, 0.04, 0, 0, 0, 0, -70, 14, 4, 36) }],
    ]);
    const found = dataOf(quantizeRows(weights, quantizeOptions.parse({ bits: 4 })), 'w');
    [0.7, -0.3, 0.1, 0, 0, 0, 0, 0, -70, 10, 0, 40].forEach(
      (value, at) => void expect(found[at]).toBeCloseTo(value, 5),
    );
  });

  it('leaves at most 255 numbers a row, each at most half a step away', () => {
    const weights = new Map([['w', noise(2, 5000, 1)]]);
    const [given, found] = [
      dataOf(weights, 'w'),
      dataOf(quantizeRows(weights, quantizeOptions.parse({ bits: 8 })), 'w'),
    ];
    const row = found.subarray(0, 5000);
    expect(new Set(row).size).toBeLessThanOrEqual(255);
    expect(new Set(row).size).toBeGreaterThan(150);
    const step = Math.max(...given.subarray(0, 5000).map(Math.abs)) / 127;
    row.forEach((value, at) => void expect(Math.abs(value - given[at])).toBeLessThan(step * 0.5001));
  });
});

it('prune sets the smallest numbers to 0, of each matrix its share', () => {
  const weights = new Map([
    ['w', { shape: [2, 3], data: Float32Array.of(3, -1, 2, -4, 0.5, 6) }],
    ['bias', { shape: [2], data: Float32Array.of(0.1, 0.2) }],
  ]);
  const found = pruneSmallest(weights, pruneOptions.parse({}));
  expect([...dataOf(found, 'w')]).toEqual([3, 0, 0, -4, 0, 6]);
  expect(dataOf(found, 'bias')).toEqual(dataOf(weights, 'bias'));
});

it('noise is of the size that is asked for, of each seed another', () => {
  const weights = new Map([
    ['w', noise(100, 100, 3)],
    ['bias', { shape: [2], data: Float32Array.of(0.1, 0.2) }],
  ]);
  const options = noiseOptions.parse({ scale: 0.2 });
  const found = addNoise(weights, options, 1);
  expect(Math.abs(distance(dataOf(found, 'w'), dataOf(weights, 'w')) / 0.2 - 1)).toBeLessThan(0.03);
  expect(addNoise(weights, options, 1)).toEqual(found);
  expect(dataOf(addNoise(weights, options, 2), 'w')).not.toEqual(dataOf(found, 'w'));
  expect(dataOf(found, 'bias')).toEqual(dataOf(weights, 'bias'));
});

describe('interpolate', () => {
  let root: string;
  const config = { num_labels: 2, hidden_sizes: [8, 6] };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'weightlock-interpolate-'));
    for (const seed of [1, 2]) await saveModel(join(root, `m${seed}`), initializeModel('mlp', config, seed));
  });
  afterAll(() => rm(root, { recursive: true }));

  it('mixes what both have, and leaves what the parent has in another shape', () => {
    const one = new Map([
      ['w', { shape: [2], data: Float32Array.of(1, 2) }],
      ['head', { shape: [1], data: Float32Array.of(5) }],
    ]);
    const other = new Map([
      ['w', { shape: [2], data: Float32Array.of(5, -2) }],
      ['head', { shape: [2], data: Float32Array.of(7, 7) }],
    ]);
    const found = interpolateWeights(one, other, 0.25);
    expect([...dataOf(found, 'w')]).toEqual([2, 1]);
    expect([...dataOf(found, 'head')]).toEqual([5]);
    expect(() => interpolateWeights(one, new Map(), 0.5)).toThrow('interpolate: expected a parent with weights');
  });

  it('all the way is an attack on the parent itself, whatever model was released', async () => {
    const runner = new AttackRunner();
    const run = async (start: string, weight?: number) => {
      const transforms =
        weight === undefined ? [] : [{ name: 'interpolate', options: { parent: join(root, 'm2'), weight } }];
      const { trials } = await runner.run({
        id: `${start} ${weight}`,
        start: { kind: 'model', path: join(root, start) },
        transforms,
        optimizer: { name: 'sgd' },
        data: dataSpec.parse({ classes: [2, 3], testLimit: 60 }),
        perClass: 5,
        steps: 4,
        batchSize: 8,
        giveUpBelow: -1,
        budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [1] },
      });
      return trials[0].metrics;
    };
    expect(await run('m1', 1)).toEqual(await run('m2'));
    expect(await run('m1', 0.5)).not.toEqual(await run('m1'));
    await expect(
      runner.run({
        id: 'missing',
        start: { kind: 'model', path: join(root, 'm1') },
        transforms: [{ name: 'interpolate', options: { parent: join(root, 'none') } }],
        optimizer: { name: 'sgd' },
        data: dataSpec.parse({ classes: [2, 3] }),
        steps: 1,
        batchSize: 8,
        budget: { decades: [-2], searchSeeds: [5], seeds: [1] },
      }),
    ).rejects.toThrow('expected a model directory, found nothing');
    await runner.release();
  });
});
