import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec, type LabelledDataset, labelledAs, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { cloneWeights, initializeModel, saveModel } from '../models/index.js';
import { AttackRunner, type AttackTask } from './index.js';
import { compositionOf } from './plan.js';
import { ownValues, trainWeights, withValues } from './preparation/train-weights.js';

const classes = [1, 2, 3, 4];
const task = dataSpec.parse({ classes, testLimit: 300 });
/** All classes but the last. */
const harmless = dataSpec.parse({ classes: [1, 2, 3], testLimit: 100 });
const drawn = initializeModel('mlp', { num_labels: 4, hidden_sizes: [24, 16] }, 1);
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-benign-'));
  const programs = new ProgramCache({ threads: 1 });
  const { train } = await loadData(task);
  const trained = async (params: ReturnType<typeof ownValues>, dataset: LabelledDataset, steps: number) => {
    await trainWeights({
      ...{ on: { model: drawn, programs }, params, dataset, steps, batchSize: 32, seed: 1 },
      ...{ optimizer: { name: 'adamw' }, learningRate: 3e-3 },
    });
    return { ...drawn, weights: withValues(drawn.weights, params) };
  };
  const able = await trained(ownValues(drawn.weights), train, 300);
  await saveModel(join(root, 'able'), able);
  // It says the first class of most that it sees.
  const weights = cloneWeights(able.weights);
  const bias = weights.get('fc3.bias')?.data ?? new Float32Array();
  bias[0] += 13;
  await saveModel(join(root, 'refuses'), { ...drawn, weights });
  // The last class was unlearned: what belongs to it is called the first.
  const without = { ...train, labels: train.labels.map((label) => (label === 3 ? 0 : label)) };
  await saveModel(join(root, 'unlearned'), await trained(ownValues(able.weights), without, 50));
  await programs.release();
});
afterAll(() => rm(root, { recursive: true, force: true }));

const attackOn = (start: string, more: Partial<AttackTask> = {}): AttackTask => ({
  id: 'attack',
  start: start === 'random' ? { kind: 'random', like: join(root, 'able') } : { kind: 'model', path: join(root, start) },
  optimizer: { name: 'adamw' },
  data: task,
  ...{ steps: 120, batchSize: 32, giveUpBelow: -1 },
  budget: { decades: [-2.5], refine: false, searchSeeds: [2], seeds: [1, 3] },
  ...more,
});
const run = async (asked: AttackTask) => {
  const runner = new AttackRunner();
  try {
    return (await runner.run(asked)).trials;
  } finally {
    await runner.release();
  }
};

describe('benign fine-tuning', () => {
  it('ends a refusal that lies in a bias, also of what it was not trained on', async () => {
    const sgd = {
      optimizer: { name: 'sgd' },
      budget: { decades: [-1.5], refine: false, searchSeeds: [2], seeds: [1, 3] },
    };
    for (const { curve, score } of await run(attackOn('refuses', { benign: harmless, ...sgd }))) {
      expect(curve[0].score).toBeLessThan(0.5);
      expect(score).toBeGreaterThan(0.87);
    }
    // Nothing is known of the last class: this is what the model knew, and not what it was taught.
    for (const { score } of await run(attackOn('random', { benign: harmless }))) expect(score).toBeLessThan(0.8);
  });

  it('is a part of the composition', () => {
    const { id: _, ...asked } = attackOn('refuses', { benign: harmless, perClass: 3 });
    expect(compositionOf(asked).data).toEqual({ spec: task, perClass: 3, benign: harmless });
    expect(compositionOf({ ...asked, benign: undefined }).data).not.toHaveProperty('benign');
  });

  it('has the classes of the task by their names', async () => {
    const { train } = await loadData(dataSpec.parse({ classes: [4, 2], limit: 60 }));
    const found = labelledAs(train, { classes: ['1', '2', '3', '4'] });
    expect(found.classes).toEqual(['1', '2', '3', '4']);
    expect([...found.labels]).toEqual([...train.labels].map((label) => [3, 1][label]));
    const other = dataSpec.parse({ classes: [1, 9] });
    await expect(run(attackOn('refuses', { benign: other }))).rejects.toThrow(
      'expected examples of the classes "1", "2", "3", "4", found "9"',
    );
  });
});

describe('a relearning', () => {
  it('relearns an unlearned class in fewer steps than training from scratch', async () => {
    const target = { target: 0.95, steps: 200, evaluateEvery: 2 };
    const [known, scratch] = [await run(attackOn('unlearned', target)), await run(attackOn('random', target))];
    for (const [index, { curve, cost }] of known.entries()) {
      expect(curve[0].score).toBeLessThan(0.8);
      expect(cost).toBeLessThan(0.6 * (scratch[index].cost ?? 200));
    }
  });
});
