import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec, loadData } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { initializeModel, type Model, parameterSet, saveModel } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import { AttackRunner, type AttackTask, keepsUtility, type SearchResult } from '../index.js';
import { ownValues, trainWeights, withValues } from '../preparation/train-weights.js';
import { judgeUtility } from './utility-after.js';

const authorized = dataSpec.parse({ classes: [0, 1, 2], testLimit: 120 });
// As many, so that both are measured by the same program.
const unauthorized = dataSpec.parse({ classes: [7, 8, 9], testLimit: 120 });
const drawn = initializeModel('mlp', { num_labels: 3, hidden_sizes: [24, 16] }, 1);
const evaluator = new Evaluator(drawn, { threads: 1 });
let root: string;
/** A model that does its task. */
let released: Model;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-utility-'));
  const programs = new ProgramCache({ threads: 1 });
  const params = ownValues(drawn.weights);
  const { train } = await loadData(authorized);
  await trainWeights({
    ...{ on: { model: drawn, programs }, params, dataset: train, steps: 120, batchSize: 32, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 5e-3 },
  });
  await programs.release();
  released = { ...drawn, weights: withValues(drawn.weights, params) };
  await saveModel(join(root, 'released'), released);
});
afterAll(async () => {
  await evaluator.release();
  await rm(root, { recursive: true, force: true });
});

const scoreOf = async (params: ReadonlyMap<string, Float32Array>) => {
  const { metrics } = await evaluator.evaluate(params, (await loadData(authorized)).test);
  return metrics.accuracy ?? Number.NaN;
};

describe('what is left of the authorized task', () => {
  it('is judged with the head that is better, and is nothing where the weights are no numbers', async () => {
    const { test: examples } = await loadData(authorized);
    const before = await scoreOf(parameterSet(released.weights));
    expect(before).toBeGreaterThan(0.95);
    const judge = judgeUtility(
      { released, evaluator, examples, prepared: released.weights, hasOwnHead: false },
      async () => before,
    );
    const own = ownValues(released.weights);
    expect(await judge(own)).toEqual({ before, after: before });
    // The head that was trained on is of no use, and the one before it was kept.
    own.get('fc3.weight')?.fill(0);
    own.get('fc3.bias')?.set([1, 0, 0]);
    expect(await scoreOf(own)).toBeLessThan(0.5);
    expect(await judge(own)).toEqual({ before, after: before });
    own.get('fc1.weight')?.fill(Number.NaN);
    expect((await judge(own)).after).toBeLessThan(0.5);
  });
});

describe('a reported trial', () => {
  const task = (more: Partial<AttackTask> = {}): AttackTask => ({
    id: 'attack',
    start: { kind: 'model', path: join(root, 'released') },
    optimizer: { name: 'sgd' },
    data: unauthorized,
    authorized,
    ...{ steps: 8, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-8], refine: false, searchSeeds: [5], seeds: [1] },
    ...more,
  });
  const rowOf = (result: SearchResult) => ({ result }) as Parameters<typeof keepsUtility>[0];

  it('says it of the weights with the best score, and no trial of a search does', async () => {
    const runner = new AttackRunner();
    // A rate that moves nothing leaves all of it.
    const still = await runner.run(task({ budget: { ...task().budget, decades: [-8, -9] } }));
    expect(still.search.every((trial) => !('utility' in trial))).toBe(true);
    const [{ utility }] = still.trials;
    expect(utility?.after).toBe(utility?.before);
    expect(utility?.before).toBe(await scoreOf(parameterSet(released.weights)));
    expect(keepsUtility(rowOf(still), 0)).toBe(true);
    // One that diverges at once: its attacker stops before.
    const wild = await runner.run(task({ budget: { ...task().budget, decades: [20], seeds: [1] } }));
    expect(wild.trials[0]).toMatchObject({ end: 'diverged', utility });
    const { trials } = await runner.run(
      task({
        transforms: [{ name: 'reset', options: { include: ['fc1*'] } }],
        budget: { ...task().budget, decades: [-1] },
      }),
    );
    expect(trials[0].utility?.before).toBe(utility?.before);
    expect(trials[0].utility?.after).toBeLessThan(0.8);
    expect(keepsUtility(rowOf({ ...still, trials }), 0.05)).toBe(false);
    await runner.release();
  });

  it('says it with the released head where the attack has another, of no training too, and of random weights never', async () => {
    const runner = new AttackRunner();
    const head = taskOf(released).headFor((await loadData(unauthorized)).train);
    const other = { kind: 'model', path: join(root, 'released'), head: { ...head, size: 5 } } as const;
    const { trials } = await runner.run(task({ start: other }));
    expect(trials[0].utility?.after).toBe(trials[0].utility?.before);
    const frozen = await runner.run(task({ trained: { name: 'none' }, perClass: 5 }));
    expect(frozen.trials[0].utility?.after).toBe(trials[0].utility?.before);
    const random = await runner.run(task({ start: { kind: 'random', like: join(root, 'released') } }));
    expect(random.trials[0]).not.toHaveProperty('utility');
    expect(keepsUtility(rowOf(random), 0)).toBeUndefined();
    await runner.release();
  });
});
