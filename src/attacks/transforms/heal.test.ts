import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type DataParts, dataSpec, loadData } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { initializeModel, type Model, parameterSet, type StateDict, saveModel } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import { AttackRunner, type AttackTask, type Bench, spentOn } from '../index.js';
import { ownValues, trainWeights, withValues } from '../preparation/train-weights.js';
import { healOptions, healWeights } from './heal.js';
import { resetWeights } from './reset.js';

const version = vi.hoisted(() => vi.fn<() => string | undefined>());
vi.mock('../../formats/index.js', async (load) => {
  const formats = await load<typeof import('../../formats/index.js')>();
  return { ...formats, weightlockVersion: () => version() ?? formats.weightlockVersion() };
});

const config = { num_labels: 3, hidden_sizes: [24, 16] };
const authorized = dataSpec.parse({ classes: [0, 1, 2], testLimit: 150 });
const unauthorized = dataSpec.parse({ classes: [7, 8, 9], testLimit: 100 });
const drawn = initializeModel('mlp', config, 1);
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(drawn, { threads: 1 });
let root: string;
let retain: DataParts;
let own: DataParts;
/** A model that does its task, and the same with the layers behind the first drawn anew. */
let released: Model;
let hurt: StateDict;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-heal-'));
  [retain, own] = [await loadData(authorized), await loadData(unauthorized)];
  const params = ownValues(drawn.weights);
  const { converged } = await trainWeights({
    ...{ on: { model: drawn, programs }, params, dataset: retain.train, steps: 150, batchSize: 32, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 5e-3 },
  });
  expect(converged).toBe(true);
  released = { ...drawn, weights: withValues(drawn.weights, params) };
  hurt = resetWeights(released.weights, initializeModel('mlp', config, 9).weights, ['fc2*', 'fc3*']);
  await saveModel(join(root, 'released'), released);
});
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
  await rm(root, { recursive: true, force: true });
});

const bench = (more: Partial<Bench> = {}): Bench => ({
  released: { model: released, weights: released.weights, evaluator, programs },
  attacked: { model: released, evaluator, programs },
  ...{ own: own.train, steps: 160, batchSize: 32 },
  ...more,
});
async function judge(weights: StateDict) {
  const { metrics } = await evaluator.evaluate(parameterSet(weights), retain.test, {
    original: { weights: parameterSet(released.weights) },
  });
  const { score, divergence } = evaluator.task.roles;
  return { score: metrics[score] ?? Number.NaN, divergence: metrics[divergence] ?? Number.NaN };
}

describe('heal', () => {
  it('brings the authorized task back, by its own examples or by the outputs of the released model', async () => {
    expect((await judge(released.weights)).score).toBeGreaterThan(0.95);
    const before = await judge(hurt);
    expect(before.score).toBeLessThan(0.6);
    const byTask = await healWeights(hurt, bench({ retain: retain.train }), healOptions.parse({}), 1);
    expect((await judge(byTask.weights)).score).toBeGreaterThan(0.9);
    const kl = healOptions.parse({ loss: 'kl' });
    const byOutputs = await healWeights(hurt, bench({ retain: retain.train }), kl, 1);
    expect((await judge(byOutputs.weights)).divergence).toBeLessThan(before.divergence / 10);
    // Outputs can be kept on any examples.
    const elsewhere = await healWeights(hurt, bench(), healOptions.parse({}), 1);
    expect((await judge(elsewhere.weights)).divergence).toBeLessThan(before.divergence / 2);
    expect((await judge(byTask.weights)).divergence).not.toBe((await judge(byOutputs.weights)).divergence);
  });

  it('charges the steps that it takes, and what else it tries', async () => {
    const options = healOptions.parse({ share: 0.1, learningRates: [1e-2, 1e-3] });
    const { work } = await healWeights(hurt, bench({ retain: retain.train }), options, 1);
    // A look at a batch of examples is half a step of this network, of whose first layer nothing is passed back; four of them.
    expect(work).toMatchObject({ steps: 16, evaluations: 12, spent: { steps: 14, samples: 14 * 32 } });
    expect(work.evaluations + work.tried).toBeLessThanOrEqual(16);
    expect(work.tried).toBeGreaterThan(2 + 4 * 0.45);
    expect(work.tried).toBeLessThan(2 + 4 * 0.55);
    const kl = await healWeights(hurt, bench(), { ...options, learningRates: [1e-2] }, 1);
    expect(kl.work.evaluations / kl.work.spent.steps).toBeCloseTo(1.5, 1);
    expect(kl.work.evaluations + kl.work.tried).toBeLessThanOrEqual(16);
    expect(kl.work.steps).toBe(Math.ceil(kl.work.evaluations + kl.work.tried));
  });

  it('leaves the weights where no rate does any good, and says what it needs', async () => {
    const options = healOptions.parse({ optimizer: 'sgd', learningRates: [1e30] });
    const { weights, work } = await healWeights(hurt, bench({ retain: retain.train }), options, 1);
    expect(weights).toBe(hurt);
    // Until it was seen to diverge, and two looks at up to 256 examples.
    expect(work.spent.steps).toBeLessThan(5);
    expect(work.steps).toBeLessThan(10);
    expect(work.tried).toBeGreaterThan(0);
    // Weights that are healthy are not made worse, and tries of several rates are all that it takes.
    const worse = healOptions.parse({ learningRates: [0.3, 0.2, 0.1] });
    const healthy = await healWeights(released.weights, bench({ retain: retain.train }), worse, 1);
    expect(healthy.weights).toBe(released.weights);
    expect(healthy.work).toMatchObject({
      ...{ evaluations: 0, spent: { steps: 9 } },
      notes: ['heal left the weights alone, as no learning rate made them better'],
    });
    expect(healthy.work.steps).toBe(Math.ceil(healthy.work.tried));
    expect(healthy.work.steps).toBeLessThan(40 / 2);
    await expect(healWeights(hurt, bench(), healOptions.parse({ loss: 'cross-entropy' }), 1)).rejects.toThrow(
      'heal: expected examples like those of the authorized task',
    );
  });
});

describe('an attack that heals first', () => {
  const task = (more: Partial<AttackTask> = {}): AttackTask => ({
    id: 'heal',
    start: { kind: 'model', path: join(root, 'released') },
    transforms: [
      { name: 'reset', options: { include: ['fc3*'] } },
      { name: 'heal', options: { learningRates: [1e-2] } },
    ],
    optimizer: { name: 'adamw' },
    data: unauthorized,
    retain: authorized,
    ...{ steps: 40, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [1, 2] },
    ...more,
  });

  it('begins its curve where the healing ends, and ends within the same budget', async () => {
    const runner = new AttackRunner();
    const { trials } = await runner.run(task({ target: 0.01, continueAfterTarget: true }));
    const plain = await runner.run(task({ transforms: [] }));
    await runner.release();
    const oneStep = (plain.trials[0].spent?.flops ?? 0) / 40;
    for (const { curve, cost, costFlops, before, evaluations, spent } of trials) {
      expect(curve[0].step).toBe(10);
      expect(curve.at(-1)?.step).toBe(40);
      expect(cost).toBe(10);
      // Each healing computes what 10 steps of plain fine-tuning do, two looks at examples among it.
      const { steps, flops } = before?.spent ?? { steps: 0, flops: 0 };
      expect(before).toMatchObject({ steps: 10, evaluations: steps, spent: { samples: 32 * steps } });
      expect(steps).toBeLessThan(10);
      expect(evaluations).toBe(30 + steps);
      expect(flops).toBeGreaterThan(9 * oneStep);
      expect(flops).toBeLessThanOrEqual(10.01 * oneStep);
      expect(costFlops).toBe(flops);
      expect(spent).toMatchObject({ steps: 30 + steps, samples: (30 + steps) * 32 });
      expect((spent?.flops ?? 0) - (costFlops ?? 0)).toBeCloseTo(30 * oneStep, 0);
    }
    expect(trials[0].curve).not.toEqual(trials[1].curve);
    expect(plain.trials[0]).not.toHaveProperty('before');
    expect(plain.trials[0].evaluations).toBe(40);
  });

  it('finds on disk what an interrupted run has healed, and the same bits', async () => {
    const store = join(root, 'store');
    const run = async (folder?: string, engine = {}) => {
      const runner = new AttackRunner(engine, folder);
      const found = await runner.run(task());
      await runner.release();
      return found;
    };
    const first = await run(store);
    const files = await readdir(store);
    expect(files).toHaveLength(2);
    const times = () => Promise.all(files.map(async (name) => (await stat(join(store, name))).mtimeMs));
    const before = await times();
    expect(await run(store)).toEqual(first);
    expect(await times()).toEqual(before);
    expect(await run()).toEqual(first);
    // What another engine or version made is made anew.
    await run(store, { threads: 2 });
    expect(await readdir(store)).toHaveLength(4);
    version.mockReturnValue('99.0.0');
    await run(store);
    version.mockReset();
    expect(await readdir(store)).toHaveLength(6);
    expect(await times()).toEqual(before);
  });

  it('is not had for free by a regression on hidden layers, which takes no steps that it could be charged to', async () => {
    const runner = new AttackRunner();
    const part = { trained: { name: 'hidden-layers' }, optimizer: { name: 'lbfgs' } };
    await expect(runner.run(task(part))).rejects.toThrow('hidden-layers: expected no transform before it that trains');
    await runner.release();
  });

  it('is ended by a signal, and has stored nothing', async () => {
    const store = join(root, 'interrupted');
    const runner = new AttackRunner({}, store);
    const signal = AbortSignal.abort();
    await expect(runner.run(task(), { signal })).rejects.toThrow('interrupted');
    await runner.release();
    await expect(stat(store)).rejects.toThrow();
  });

  it('is searched by halving with the steps that the healing leaves', async () => {
    const runner = new AttackRunner();
    const learningRate = { kind: 'log', low: 1e-4, high: 1e-1 } as const;
    const method = { name: 'asha', trials: 8, space: { learningRate } } as const;
    const heard: number[] = [];
    const { search } = await runner.run(task({ budget: { method, decades: [-2], searchSeeds: [5], seeds: [1] } }), {
      onTrial: (_, __, seconds) => void heard.push(seconds),
    });
    await runner.release();
    expect(search.map(({ curve }) => curve[0].step)).toEqual(Array(8).fill(10));
    // Of the 30 steps that are left 4, 8 and all.
    const last = search.map(({ curve }) => curve.at(-1)?.step ?? 0).toSorted((a, b) => a - b);
    expect(last).toEqual([...Array(6).fill(14), 18, 40]);
    const spent = spentOn({ search, trials: [], learningRate: 1 });
    // What they have in common once, and 6 · 4 + 8 + 30 steps of their own.
    const healing = search[0].before?.spent.steps ?? 0;
    expect(healing).toBeGreaterThan(5);
    expect(spent.steps).toBe(healing + 6 * 4 + 8 + 30);
    expect(heard).toHaveLength(9);
  });

  it('is refused where it leaves no step of a trial', async () => {
    const runner = new AttackRunner();
    const budget = { decades: [-2, -3], searchSteps: 8, searchSeeds: [5], seeds: [1] };
    await expect(runner.run(task({ budget }))).rejects.toThrow('expected fewer steps before a trial than its 8 in all');
    await runner.release();
  });
});
