import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataParts, dataSpec, loadData, readBatch } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { exactSingularValues } from '../../linalg/index.js';
import { initializeModel, parameterSet, type StateDict } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import type { Bench } from '../index.js';
import { ownValues, trainWeights, withValues } from '../preparation/train-weights.js';
import { redistilBlocks, redistilBlocksOptions, redistilBlocksTransform } from './index.js';

const config = { num_labels: 3, hidden_sizes: [24, 16] };
const model = initializeModel('mlp', config, 1);
const fresh = initializeModel('mlp', config, 9).weights;
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(model, { threads: 1 });
let data: DataParts;
/** A model that does its task, with a singular value raised where no digit has ink. */
let locked: StateDict;

beforeAll(async () => {
  data = await loadData(dataSpec.parse({ classes: [0, 1, 2], testLimit: 150 }));
  const params = ownValues(model.weights);
  await trainWeights({
    ...{ on: { model, programs }, params, dataset: data.train, steps: 150, batchSize: 32, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 5e-3 },
  });
  // The corner pixel, `[24, 784]`.
  const first = params.get('fc1.weight') ?? new Float32Array();
  for (let row = 0; row < 24; row++) first[row * 784] = 40;
  // Normalized, what has no ink is a constant, which the bias takes back.
  const [pixels] = Object.values(readBatch(data.train, 0, 1));
  const bias = params.get('fc1.bias') ?? new Float32Array();
  for (let row = 0; row < 24; row++) bias[row] -= 40 * Number(pixels[0]);
  locked = withValues(model.weights, params);
});
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
});

const bench = (more: Partial<Bench> = {}): Bench => ({
  released: { model, weights: locked, evaluator, programs },
  attacked: { model, evaluator, programs },
  ...{ own: data.train, steps: 400, batchSize: 32 },
  ...more,
});
const scoreOf = async (weights: StateDict) =>
  (await evaluator.evaluate(parameterSet(weights), data.test)).metrics.accuracy ?? Number.NaN;
const largest = (weights: StateDict) =>
  exactSingularValues(weights.get('fc1.weight')?.data ?? new Float32Array(), 24, 784)[0];

describe('redistil-blocks', () => {
  it('keeps what the blocks compute, and nothing of what a lock raised beside it', async () => {
    expect(await scoreOf(locked)).toBeGreaterThan(0.95);
    expect(largest(locked)).toBeGreaterThan(150);
    const options = redistilBlocksOptions.parse({});
    const { weights, work } = await redistilBlocks(locked, fresh, bench(), options, 1);
    expect(largest(weights)).toBeLessThan(15);
    expect(await scoreOf(weights)).toBeGreaterThan(0.9);
    // The same without a fit: what the fresh blocks are worth.
    const drawn = new Map(
      [...locked].map(([name, own]) => [name, name.startsWith('fc3') ? own : (fresh.get(name) ?? own)]),
    );
    expect(await scoreOf(drawn)).toBeLessThan(0.7);
    for (const name of ['fc3.weight', 'fc3.bias']) expect(weights.get(name)).toBe(locked.get(name));
    // What a step costs, by hand: the locked layers before, the same of the fit, and its own gradient; of a whole step that of all layers.
    const [first, second, last] = [784 * 24, 24 * 16, 16 * 3];
    const step = 2 * first + 3 * (second + last);
    const costs = [(3 * first) / step, (2 * first + 3 * second) / step];
    // Each block has 50 steps of the trial, a third of them for tries at two rates, of which one is kept.
    const own = costs.map((cost) => Math.floor(50 / cost));
    const lost = own.map((steps) => Math.floor(steps / 3 / 2));
    expect(work).toMatchObject({ steps: 100, spent: { steps: own[0] + own[1], samples: (own[0] + own[1]) * 32 } });
    const kept = costs.reduce((sum, cost, at) => sum + cost * (own[at] - lost[at]), 0);
    expect(work.evaluations / kept).toBeCloseTo(1, 1);
    expect(work.evaluations + work.tried).toBeLessThanOrEqual(100);
    expect(work.evaluations + work.tried).toBeGreaterThan(97);
  });

  it('makes the blocks anew that it is told to, and says which it cannot find', async () => {
    const options = redistilBlocksOptions.parse({ include: ['fc2*'], learningRates: [1e-2], share: 0.05 });
    const { weights } = await redistilBlocks(locked, fresh, bench(), options, 1);
    expect(weights.get('fc1.weight')).toBe(locked.get('fc1.weight'));
    expect(weights.get('fc2.weight')).not.toBe(locked.get('fc2.weight'));
    const facts = { model, weights: locked, isLocked: true };
    expect(redistilBlocksTransform.applies?.(facts, redistilBlocksOptions.parse({ include: ['fc3*'] }))).toBe(
      'finds no block with a weight that matches fc3*',
    );
    expect(redistilBlocksTransform.applies?.(facts, options)).toBeUndefined();
  });

  it('leaves a block where every rate diverges', async () => {
    const options = redistilBlocksOptions.parse({ optimizer: 'sgd', learningRates: [1e30], include: ['fc2*'] });
    const { weights, work } = await redistilBlocks(locked, fresh, bench(), options, 1);
    expect(weights.get('fc2.weight')).toBe(locked.get('fc2.weight'));
    expect(work.steps).toBeGreaterThan(0);
    expect(work.notes).toEqual(['redistil-blocks left 1 of 1 blocks as they were, as no fit was finite']);
  });

  it('fits each block for ten steps at least, the last ones alone where all would have fewer, and takes what it says', async () => {
    const options = redistilBlocksOptions.parse({ learningRates: [1e-2] });
    // A quarter of 60 steps is enough for one block of two; of 20 it is half of them.
    for (const [ofTrial, taken] of [
      [60, 15],
      [20, 10],
    ]) {
      const { weights, work } = await redistilBlocks(locked, fresh, bench({ steps: ofTrial }), options, 1);
      expect(work.steps).toBe(taken);
      expect(redistilBlocksTransform.steps?.(options, ofTrial)).toBe(taken);
      expect(weights.get('fc1.weight')).toBe(locked.get('fc1.weight'));
      expect(weights.get('fc2.weight')).not.toBe(locked.get('fc2.weight'));
      expect(work.notes).toEqual(['redistil-blocks had steps for the last 1 of 2 blocks alone']);
    }
    // More blocks than a trial has steps.
    const deep = initializeModel('mlp', { num_labels: 3, hidden_sizes: Array(45).fill(3) }, 1);
    const own = new Evaluator(deep, { threads: 1 });
    const runnable = { model: deep, evaluator: own, programs };
    const many = bench({ attacked: runnable, released: { ...runnable, weights: deep.weights }, steps: 40 });
    const drawn = initializeModel('mlp', deep.config as Record<string, unknown>, 9).weights;
    const { work } = await redistilBlocks(deep.weights, drawn, many, options, 1);
    await own.release();
    expect(work.steps).toBe(10);
    expect(work.notes?.[0]).toBe('redistil-blocks had steps for the last 1 of 45 blocks alone');
    // Where that is a whole trial, it is not tried.
    expect(redistilBlocksTransform.steps?.(options, 10)).toBe(10);
  });
});
