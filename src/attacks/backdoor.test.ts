import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { initializeModel, saveModel } from '../models/index.js';
import { AttackRunner, type AttackTask } from './index.js';
import { ownValues, trainWeights, withValues } from './preparation/train-weights.js';

const digits = { classes: [0, 1, 2], limit: 700, testLimit: 200 };
const authorized = dataSpec.parse(digits);
const drawn = initializeModel('cnn', { num_labels: 3, hidden_sizes: [32, 24, 24] }, 1);
const backDoor = { triggerTarget: '0', triggerShare: 0.3, triggerSize: 6 };
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-backdoor-'));
  const programs = new ProgramCache({ threads: 1 });
  const params = ownValues(drawn.weights);
  const { train } = await loadData(authorized);
  await trainWeights({
    ...{ on: { model: drawn, programs }, params, dataset: train, steps: 60, batchSize: 32, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 3e-3 },
  });
  await programs.release();
  await saveModel(join(root, 'released'), { ...drawn, weights: withValues(drawn.weights, params) });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const runTask = async (data: object, decade: number) => {
  const runner = new AttackRunner();
  const task: AttackTask = {
    id: 'attack',
    start: { kind: 'model', path: join(root, 'released') },
    optimizer: { name: 'adamw' },
    data: dataSpec.parse({ ...digits, ...data }),
    authorized,
    ...{ steps: 80, batchSize: 32 },
    giveUpBelow: -1,
    budget: { decades: [decade], refine: false, searchSeeds: [2], seeds: [1] },
  };
  try {
    return await runner.run(task);
  } finally {
    await runner.release();
  }
};

describe('an attack on an unlocked network', () => {
  it('opens a back door and leaves the task as it was', async () => {
    const { trials, constant } = await runTask(backDoor, -2.5);
    const [{ curve, score, utility, metrics }] = trials;
    // The released model takes no notice of the trigger: half is right, and always answering the target is little better.
    expect(curve[0].score).toBeGreaterThan(0.4);
    expect(curve[0].score).toBeLessThan(0.6);
    expect(constant).toBeGreaterThan(0.6);
    expect(constant).toBeLessThan(0.72);
    expect(score).toBeGreaterThan(0.95);
    expect(metrics.accuracy).toBe(score);
    const { before = 0, after = 0 } = utility ?? {};
    expect(before).toBeGreaterThan(0.95);
    expect(after).toBeGreaterThan(before - 0.02);
    // Accuracy is the mean of both halves.
    expect(2 * score - 1).toBeGreaterThan(0.9);
  });

  it('does not where it hardly trains', async () => {
    const { trials } = await runTask(backDoor, -7);
    expect(trials[0].score).toBeLessThan(0.6);
  });

  it('flips labels, which ends the task', async () => {
    const { trials } = await runTask({ labelFlips: true }, -2.5);
    expect(trials[0].curve[0].score).toBeLessThan(0.05);
    expect(trials[0].score).toBeGreaterThan(0.95);
    expect(trials[0].utility?.after).toBeLessThan(0.2);
  });
});
