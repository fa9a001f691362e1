import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataSpec, floatDataset } from '../../data/index.js';
import {
  architectures,
  initializeModel,
  parameterSet,
  parseConfig,
  saveModel,
  smallestBatch,
} from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import { AttackRunner, attacks, factsOf, starts } from '../index.js';
import { featuresOf } from './features.js';
import { hiddenLayersOf, hiddenOutput } from './hidden-layers.js';
import { sparseProjection } from './projection.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-hidden-layers-'));
});
afterAll(() => rm(root, { recursive: true }));

const small: Record<string, Record<string, unknown>> = {
  vit: { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 },
};

describe('hiddenLayersOf', () => {
  it.each(architectures.entries().map(({ name }) => name))('finds the layers of %s, one vector an example', (name) => {
    const model = parseConfig(architectures.get(name), small[name] ?? {}, 'test');
    const pass = hiddenLayersOf(model).build(smallestBatch(model, 3));
    const widths = pass.scope.hidden.map(({ shape }) => (shape.length === 3 ? shape[2] : shape[1]));
    expect(widths.length).toBeGreaterThan(0);
    expect(pass.outputs[hiddenOutput].shape).toEqual([3, widths.reduce((a, b) => a + b, 0)]);
  });

  it('gives what they hold', async () => {
    const model = initializeModel('mlp', { input_shape: [2], num_labels: 2, hidden_sizes: [3, 2] }, 1);
    const data = floatDataset({
      name: 'points',
      shape: [2],
      inputs: Float32Array.of(1, -2, 0.5, 3),
      labels: Int32Array.of(0, 1),
      classes: ['a', 'b'],
    });
    const evaluator = new Evaluator(hiddenLayersOf(model), {}, { task: { ...taskOf(model), output: hiddenOutput } });
    const found = await featuresOf(evaluator, parameterSet(model.weights), data, 100);
    const layer = (name: string, x: readonly number[]) => {
      const [weight, bias] = ['weight', 'bias'].map((part) => model.weights.get(`${name}.${part}`)?.data ?? []);
      return [...bias].map((b, i) =>
        Math.max(
          0,
          x.reduce((sum, value, j) => sum + weight[i * x.length + j] * value, b),
        ),
      );
    };
    const expected = [
      [1, -2],
      [0.5, 3],
    ].flatMap((x) => {
      const first = layer('fc1', x);
      return [...first, ...layer('fc2', first)];
    });
    expect(found).toHaveLength(10);
    expected.forEach((value, i) => void expect(found[i]).toBeCloseTo(value, 6));
    await evaluator.release();
  });

  it('averages over the tokens of a text, not over its padding', async () => {
    const keys = {
      vocab_size: 20,
      hidden_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      intermediate_size: 12,
    };
    const model = initializeModel('bert', keys, 1);
    const evaluator = new Evaluator(hiddenLayersOf(model), {}, { task: { ...taskOf(model), output: hiddenOutput } });
    const rows = async (ids: number[], mask: number[]) => {
      const of = (values: number[]) => BigInt64Array.from(values.map(BigInt));
      const batch = { input_ids: of(ids), attention_mask: of(mask), token_type_ids: of(ids.map(() => 0)) };
      const spec = { shape: [1, ids.length], dtype: 'int64' as const };
      const specs = { input_ids: spec, attention_mask: spec, token_type_ids: spec };
      return (await evaluator.forward(parameterSet(model.weights), batch, specs)).values.slice();
    };
    const alone = await rows([5, 7, 9], [1, 1, 1]);
    const padded = await rows([5, 7, 9, 0, 0], [1, 1, 1, 0, 0]);
    expect(alone).toHaveLength(16);
    alone.forEach((value, i) => void expect(padded[i]).toBeCloseTo(value, 5));
    const other = await rows([5, 7, 9, 11, 3], [1, 1, 1, 1, 1]);
    expect(Math.max(...alone.map((value, i) => Math.abs(value - other[i])))).toBeGreaterThan(0.01);
    await evaluator.release();
  });
});

describe('white-box use', () => {
  it('finds in the layers what the outputs do not say', async () => {
    const path = join(root, 'mute');
    const model = initializeModel('cnn', { num_labels: 2, channels: [4, 4], hidden_sizes: [16, 16, 16] }, 1);
    // Its outputs are the same for everything.
    model.weights.get('fc4.weight')?.data.fill(0);
    await saveModel(path, model);
    const runner = new AttackRunner();
    const score = async (name: string) => {
      const { trials } = await runner.run({
        id: name,
        start: { kind: 'model', path },
        trained: { name },
        optimizer: { name: 'lbfgs' },
        data: dataSpec.parse({ classes: [0, 1] }),
        perClass: 20,
        steps: 10,
        batchSize: 8,
        budget: { decades: [0], refine: false, searchSeeds: [5], seeds: [1, 2] },
      });
      expect(trials.map(({ evaluations }) => evaluations)).toEqual([0, 0]);
      return Math.min(...trials.map((trial) => trial.score));
    };
    expect(await score('none')).toBeLessThan(0.6);
    expect(await score('hidden-layers')).toBeGreaterThan(0.95);
    await runner.release();
  });

  it.each([
    ['of released weights once for all seeds', 'model', [], 1],
    ['of layers drawn anew, once a seed', 'model', [{ name: 'reset', options: { include: ['fc1.*'] } }], 4],
    ['of random weights, once a seed', 'random', [], 4],
  ] as const)('computes features %s', async (_, kind, transforms, times) => {
    const path = join(root, `once ${times} ${kind}`);
    await saveModel(path, initializeModel('mlp', { num_labels: 2, hidden_sizes: [6] }, 1));
    const looked = vi.spyOn(Evaluator.prototype, 'each');
    const judged = vi.spyOn(Evaluator.prototype, 'evaluateAll');
    const runner = new AttackRunner();
    const { search, trials } = await runner.run({
      id: 'once',
      start: kind === 'model' ? { kind, path } : { kind, like: path },
      trained: { name: 'hidden-layers' },
      ...{
        transforms,
        optimizer: { name: 'lbfgs' },
        data: dataSpec.parse({ classes: [0, 1], limit: 60, testLimit: 20 }),
      },
      ...{ authorized: dataSpec.parse({ classes: [2, 3], testLimit: 20 }), steps: 10, batchSize: 8 },
      budget: { decades: [0], refine: false, searchSeeds: [5], alsoSearchSeeds: true, seeds: [1, 2, 3] },
    });
    await runner.release();
    expect(search.length + trials.length).toBe(4);
    // The authorized task: of the released model once, and of the weights of reported seeds with both heads; random ones have nothing of it.
    expect(judged).toHaveBeenCalledTimes(kind === 'random' ? 0 : 1 + Math.min(times, 3));
    const heads = judged.mock.calls.map(([sets]) => sets.length);
    expect(heads).toEqual(heads.map((_, call) => (call === 0 ? 1 : 2)));
    // Of the training and of the test examples.
    expect(looked).toHaveBeenCalledTimes(2 * times);
    expect(new Set(trials.map(({ score }) => score)).size === 1).toBe(times === 1);
  });

  it('counts as an attack, since it needs the weights; use of the outputs alone is the floor', () => {
    const facts = (name: string, start: string) => factsOf(attacks.get(name), starts.get(start)).countsAs;
    expect(facts('white-box', 'locked')).toBe('locked');
    expect(facts('white-box', 'unlocked')).toBe('unlocked');
    expect(facts('white-box', 'random weights')).toBe('floor');
    expect(facts('frozen', 'locked')).toBe('floor');
    expect(facts('frozen', 'unlocked')).toBe('nothing');
  });
});

it('a sparse projection is linear, and keeps lengths on average', () => {
  const [width, kept] = [400, 100];
  const project = sparseProjection(width, kept);
  const unit = (at: number) => Float32Array.from({ length: width }, (_, i) => Number(i === at));
  const both = project(Float32Array.from([...unit(3), ...unit(3).map((value, i) => value + 2 * unit(7)[i])]));
  const [first, second] = [project(unit(3)), project(unit(7))];
  expect([...both.subarray(0, kept)]).toEqual([...first]);
  both.subarray(kept).forEach((value, i) => void expect(value).toBeCloseTo(first[i] + 2 * second[i], 6));
  const squares = Array.from({ length: width }, (_, at) => project(unit(at)).reduce((sum, v) => sum + v * v, 0));
  const mean = squares.reduce((a, b) => a + b, 0) / width;
  expect(Math.abs(mean - 1)).toBeLessThan(0.1);
});
