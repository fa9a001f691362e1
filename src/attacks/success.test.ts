import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataSpec, dataSpec, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { cloneWeights, initializeModel, type StateDict, saveModel } from '../models/index.js';
import { AttackRunner, type AttackTask, attacks } from './index.js';
import { ownValues, trainWeights, withValues } from './preparation/train-weights.js';
import { withSingularValues } from './transforms/spectrum.js';

const width = 24;
const drawn = initializeModel('mlp', { num_labels: 3, hidden_sizes: [width, width, width] }, 1);
const task = dataSpec.parse({ classes: [3, 4, 5], testLimit: 150 });
/** The same with a constant beside all pixels, along which a first layer's loss is steep. */
const shifted = dataSpec.parse({ ...task, mean: [-1], std: [0.3] });
const dataOf = (weights: StateDict, name: string) => weights.get(name)?.data ?? new Float32Array();
let root: string;

/** Models on which an attack must succeed. */
const models: Record<string, () => Promise<StateDict> | StateDict> = {
  /** It does another task: nothing is locked. */
  unlocked: async () => {
    const programs = new ProgramCache({ threads: 1 });
    const { train } = await loadData(dataSpec.parse({ classes: [0, 1, 2] }));
    const params = ownValues(drawn.weights);
    await trainWeights({
      ...{ on: { model: drawn, programs }, params, dataset: train, steps: 100, batchSize: 32, seed: 1 },
      ...{ optimizer: { name: 'adamw' }, learningRate: 3e-3 },
    });
    await programs.release();
    return withValues(drawn.weights, params);
  },
  /** All units of the second layer but two are dead. */
  dead: () => {
    const weights = cloneWeights(drawn.weights);
    dataOf(weights, 'fc2.bias').fill(-1e4, 2);
    return weights;
  },
  /** The second layer stands out of the others. */
  'one layer raised': () => {
    const weights = cloneWeights(drawn.weights);
    const data = dataOf(weights, 'fc2.weight');
    data.set(withSingularValues({ data, rows: width, columns: width }, (sigma) => [1000 * sigma[0]]));
    return weights;
  },
  /** The largest singular direction is the steep one, of a unit that gives nothing, so that the function is what it was. */
  'steep direction raised': () => {
    const weights = cloneWeights(drawn.weights);
    dataOf(weights, 'fc1.weight').fill(20, 0, 784);
    dataOf(weights, 'fc1.bias')[0] = -1e6;
    return weights;
  },
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-success-'));
  for (const [name, make] of Object.entries(models)) {
    await saveModel(join(root, name), { ...drawn, weights: await make() });
  }
});
afterAll(() => rm(root, { recursive: true }));

/** What an attack reaches, and what its weights are worth before its first step. */
async function reached(
  name: string,
  on: string,
  more: { data?: DataSpec | undefined; options?: object; optimizer?: string } = {},
) {
  const { transforms, trained } = attacks.get(name);
  const { data = task, options = {}, optimizer = 'sgd' } = more;
  const given = options as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const asked: AttackTask = {
    id: name,
    start: { kind: 'model', path: join(root, on) },
    transforms: transforms.map((step) => ({ name: step.name, options: given[step.name] ?? {} })),
    trained: { name: trained.name, options: given[trained.name] ?? {} },
    optimizer: { name: optimizer },
    ...{ data, steps: 60, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-1, -2, -3, -4, -5], searchSteps: 60, searchSeeds: [2], seeds: [1] },
  };
  const runner = new AttackRunner();
  const { trials } = await runner.run(asked);
  await runner.release();
  return { score: trials[0].score, before: trials[0].curve[0].score };
}

describe('an attack succeeds where it must, and not by what its weights are worth without a step', () => {
  it.each([
    ['quantize', { quantize: { bits: 4 } }],
    ['prune', {}],
    ['quantize-prune', { quantize: { bits: 4 } }],
    ['noise', {}],
  ] as const)('%s, on an unlocked model', async (name, options) => {
    const { score, before } = await reached(name, 'unlocked', { options, optimizer: 'adamw' });
    expect(before).toBeLessThan(0.6);
    expect(score).toBeGreaterThan(0.85);
  });

  it.each<[name: string, on: string, more: { data?: DataSpec; options?: object }]>([
    ['reset-dormant', 'dead', {}],
    ['clip-profile', 'one layer raised', {}],
    [
      'beside-top',
      'steep direction raised',
      { data: shifted, options: { 'beside-top': { topK: 1, include: ['fc1*'] } } },
    ],
    [
      'preconditioned',
      'steep direction raised',
      { data: shifted, options: { preconditioned: { topK: 1, include: ['fc1*'], power: 1 } } },
    ],
  ])('%s, where plain fine-tuning does worse: %s', async (name, on, more) => {
    const [own, plain] = [await reached(name, on, more), await reached('fine-tune', on, { data: more.data })];
    expect(own.before).toBeLessThan(0.6);
    expect(own.score).toBeGreaterThan(0.85);
    expect(own.score).toBeGreaterThan(plain.score + 0.05);
  });
});
