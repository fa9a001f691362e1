import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { AttackRunner, type AttackTask, spentOn, transforms } from '../index.js';
import { modelDigest, TransformedWeights } from '../workers/transformed-weights.js';
import { countedTriplets } from './closed-forms.js';

const config = { num_labels: 3, hidden_sizes: [24, 16] };
const model = initializeModel('mlp', config, 1);
/** Sides of its matrices, the longer first. */
const matrices = [
  [784, 24],
  [24, 16],
  [16, 3],
] as const;
const numbers = matrices.reduce((sum, [m, n]) => sum + m * n, 0);
const sum = (of: (m: number, n: number) => number) => matrices.reduce((all, [m, n]) => all + of(m, n), 0);
/** Golub and Van Loan's R-SVD, with vectors and without. */
const [whole, valuesAlone] = [
  (m: number, n: number) => 6 * m * n * n + 20 * n ** 3,
  (m: number, n: number) => 2 * m * n * n + 2 * n ** 3,
];
const root = await mkdtemp(join(tmpdir(), 'weightlock-closed-forms-'));
const released = join(root, 'released');
beforeAll(() => saveModel(released, model));
afterAll(() => rm(root, { recursive: true }));

/** What a transform takes of the model's weights, and of others of one shape. */
async function flopsOf(name: string, options: Record<string, unknown> = {}, of = model): Promise<number> {
  const { work } = await new TransformedWeights().get(
    {
      ...{ key: modelDigest(of), model: of, weights: of.weights },
      fresh: (seed) => initializeModel(of.architecture.name, of.config as Record<string, unknown>, 100 + seed).weights,
      others: new Map([['parent', { weights: initializeModel('mlp', config, 2).weights, digest: '2' }]]),
    },
    [{ name, options }],
    1,
  );
  expect(work).toMatchObject({ steps: 0, evaluations: 0, tried: 0, spent: { steps: 0, samples: 0 } });
  return work.spent.flops;
}

/** Two layers of one kind. */
const twins = initializeModel('mlp', { num_labels: 3, hidden_sizes: [24, 24, 24] }, 1);
/** What is drawn anew, or trains, or is of text models alone: it has no closed form, or graphs that are counted. */
const without = [
  'reset',
  'heal',
  'distil',
  'redistil-blocks',
  'reset-dormant',
  'plain-mlp',
  'pretrain',
  'word-vectors',
];

/** Of each transform with a closed form, by hand, the least and the most that it can be. */
const expected: Record<string, () => Promise<readonly [found: number, least: number, most: number]>> = {
  clip: async () => {
    const all = sum(whole) + 2 * 2 * numbers;
    return [await flopsOf('clip', { topK: 2 }), all, all];
  },
  'clip-partly': async () => {
    const all = sum(whole) + 2 * 2 * numbers;
    return [await flopsOf('clip-partly', { topK: 2, lead: { include: [] } }), all - 2 * 48, all];
  },
  subtract: async () => {
    const all = sum(whole) + 2 * 2 * numbers;
    return [await flopsOf('subtract', { topK: 2 }), all, all];
  },
  // Of fresh weights hardly a value stands out.
  'clip-edge': async () => [await flopsOf('clip-edge'), sum(whole), sum((m, n) => whole(m, n) + 2 * n * m * n)],
  'clip-profile': async () => {
    // Those of the second and third layer, values and then all; rank-one changes of them.
    const least = 2 * (valuesAlone(24, 24) + whole(24, 24));
    const found = await flopsOf('clip-profile', { include: ['fc2*', 'fc3*'] }, twins);
    return [found, least + 1, least + 2 * 2 * 24 ** 3];
  },
  // One step of a block of four vectors at least; one factor for each number, biases included.
  rescale: async () => [await flopsOf('rescale'), 2 * 2 * 4 * 784 * 24 + numbers, 800 * 2 * 8 * numbers],
  canonicalize: async () => [await flopsOf('canonicalize'), 2 * 3 * numbers, 1001 * 10 * numbers],
  quantize: async () => [await flopsOf('quantize'), 5 * numbers, 5 * numbers],
  prune: async () => {
    const all = sum((m, n) => m * n * (1 + Math.log2(m * n)));
    return [await flopsOf('prune'), all - 1, all + 1];
  },
  noise: async () => [await flopsOf('noise'), 4 * numbers, 4 * numbers],
  interpolate: async () => {
    const all = 3 * (numbers + 24 + 16 + 3);
    return [await flopsOf('interpolate', { parent: 'parent' }), all, all];
  },
  // All numbers fit what a seed is judged by; none of two seeds explains them.
  unmix: async () => [await flopsOf('unmix', { seeds: [0, 1] }), 2 * 6 * numbers, 2 * 6 * numbers],
};

it('of each transform what it computes is counted, or the graphs that it runs', () => {
  expect([...Object.keys(expected), ...without].toSorted()).toEqual(transforms.names().toSorted());
  const works = (name: string) => transforms.get(name).works === true;
  expect(without.filter((name) => !works(name))).toEqual(['reset']);
});

it.each(Object.keys(expected))('%s is charged to the attacker', async (name) => {
  const [found, least, most] = await expected[name]();
  expect(found).toBeGreaterThanOrEqual(least);
  expect(found).toBeLessThanOrEqual(most);
});

it('canonicalizing an attention is charged by the decompositions of its heads', async () => {
  const vit = {
    ...{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12 },
    ...{ num_channels: 1, image_size: 28, patch_size: 14, num_labels: 3 },
  };
  const of = initializeModel('vit', vit, 1);
  const [all, less] = [await flopsOf('canonicalize', {}, of), await flopsOf('canonicalize', { heads: false }, of)];
  // Values and outputs [8, 4] and [4, 9], queries and keys [9, 4] each, then what lies between them, in each of two heads.
  const heads = 2 * (whole(8, 4) + 3 * whole(9, 4) + 2 * whole(4, 4));
  expect(all - less).toBeGreaterThan(heads);
  expect(all - less).toBeLessThan(1.5 * heads);
});

describe('an attack', () => {
  const task = (more: Partial<AttackTask>): AttackTask => ({
    id: 'attack',
    start: { kind: 'model', path: released },
    optimizer: { name: 'adamw' },
    data: dataSpec.parse({ classes: [3, 5, 8], limit: 200, testLimit: 60 }),
    ...{ steps: 8, batchSize: 16, giveUpBelow: -1, target: 0.01, continueAfterTarget: true },
    budget: { decades: [-3, -4], refine: false, searchSeeds: [5], seeds: [1] },
    ...more,
  });
  const run = async (more: Partial<AttackTask>) => {
    const runner = new AttackRunner();
    const found = await runner.run(task(more));
    await runner.release();
    return found;
  };

  it('pays for what it does to the weights first, once for trials that share it', async () => {
    const transformed = [{ name: 'subtract', options: { topK: 2 } }];
    const [plain, found] = [await run({}), await run({ transforms: transformed })];
    const flops = sum(whole) + 2 * 2 * numbers;
    const [own] = plain.trials;
    expect(own).not.toHaveProperty('before');
    expect(found.trials[0].before).toMatchObject({ steps: 0, spent: { steps: 0, samples: 0, flops } });
    expect(found.trials[0].spent?.flops).toBe((own.spent?.flops ?? 0) + flops);
    expect(found.trials[0].costFlops).toBe((own.costFlops ?? 0) + flops);
    // Two trials of a search with one seed, and one that is reported.
    expect(spentOn(found).flops).toBe(spentOn(plain).flops + 2 * flops);
  });

  it('pays for the spectra that it trains beside', async () => {
    const [plain, found] = [await run({}), await run({ trained: { name: 'beside-top', options: { topK: 2 } } })];
    const [own, others] = [plain.trials[0].spent?.flops ?? 0, found.trials[0].spent?.flops ?? 0];
    // At least one block of four vectors, there and back.
    expect(others - own).toBeGreaterThan(2 * 2 * 4 * 784 * 24);
    expect(found.trials[0].costFlops).toBe((plain.trials[0].costFlops ?? 0) + others - own);
  });

  it('pays for them before a regression on hidden layers too', async () => {
    const part = { trained: { name: 'hidden-layers' }, optimizer: { name: 'lbfgs' } };
    // Half of the weights and half of the same: a regression that computes the same.
    const itself = [{ name: 'interpolate', options: { parent: released, weight: 0.5 } }];
    const [plain, found] = [await run(part), await run({ ...part, transforms: itself })];
    const [own, others] = [plain.trials[0].spent?.flops ?? 0, found.trials[0].spent?.flops ?? 0];
    expect(others - own).toBe(3 * (numbers + 24 + 16 + 3));
  });
});

it('triplets that are asked for again cost an attacker the same, and are those of the weights that are given', () => {
  const [rows, columns] = [128, 160];
  const stream = new RandomStream(1, 'weights');
  const weights = Float32Array.from({ length: rows * columns }, () => stream.normal());
  const ask = (data: Float32Array, k = 2) => {
    const tally = { flops: 0 };
    return { ...countedTriplets(data, { rows, columns, k, seed: 1, name: 'w' }, tally), flops: tally.flops };
  };
  const first = ask(weights);
  expect(first.flops).toBeGreaterThan(4 * rows * columns * first.sigma.length);
  expect(ask(weights.slice())).toEqual(first);
  expect(ask(weights, 3).sigma).toHaveLength(3);
  const scaled = ask(weights.map((value) => 2 * value));
  expect(scaled.sigma[0]).toBeCloseTo(2 * first.sigma[0], 6);
});
