import { afterAll, beforeAll, expect, it } from 'vitest';
import { textExamples } from '../../../test/support/texts.js';
import { createDataset, type Dataset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, type ModelSpec, parameterSet, type StateDict, withPlainLayers } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { Evaluator } from '../../training/index.js';
import type { Bench } from '../index.js';
import { plainFeedForward, plainMlpOptions, plainMlpTransform } from './index.js';

const sizes = { vocab_size: 24, hidden_size: 16, num_attention_heads: 2, num_hidden_layers: 2, type_vocab_size: 1 };
const locked = initializeModel(
  'bert-dlr',
  {
    ...{ ...sizes, initializer_range: 0.3, architectures: ['BertForSequenceClassification'] },
    feed_forward: { depth: 3, rank: 6 },
  },
  1,
);
const plain = withPlainLayers(locked);
const fresh = initializeModel('bert', plain.model.config as Record<string, unknown>, 7).weights;
const texts = Array.from({ length: 60 }, (_, text) =>
  Array.from({ length: 3 + (text % 6) }, (__, at) => 1 + ((7 * text + 5 * at + text * at) % 20)),
);
const data = createDataset(textExamples(texts), {
  ...{ name: 'texts', classes: ['a', 'b'] },
  labels: Int32Array.from(texts, (_, text) => text % 2),
});
const engine = { threads: 1 };
const programs = new ProgramCache(engine);
const runnable = (model: ModelSpec) => ({ model, programs, evaluator: new Evaluator(model, engine) });
const [released, attacked] = [runnable(locked), runnable(plain.model)];

beforeAll(() => {
  const stream = new RandomStream(3, 'networks');
  for (const [name, { data: values }] of locked.weights) {
    if (name.endsWith('.up.weight')) for (let at = 0; at < values.length; at++) values[at] = 0.4 * stream.normal();
  }
});
afterAll(async () => {
  await Promise.all([programs.release(), released.evaluator.release(), attacked.evaluator.release()]);
});

const bench = (steps: number): Bench => ({
  ...{ released: { ...released, weights: locked.weights }, attacked, own: data, steps, batchSize: 30 },
});
const from = { model: locked as ModelSpec, weights: locked.weights, fresh: () => fresh, seed: 1 };

/** Mean KL of a plain model's answers to the locked one's. */
async function far(weights: StateDict, examples: Dataset): Promise<number> {
  const original = await released.evaluator.original(parameterSet(locked.weights), examples);
  const { metrics } = await attacked.evaluator.evaluate(parameterSet(weights), examples, { original });
  return Number(metrics.kl);
}

it('makes a plain model that says what the deep one does, of as many parameters or a few more', async () => {
  const size = (weights: StateDict) => [...weights.values()].reduce((sum, { data: values }) => sum + values.length, 0);
  expect(size(fresh)).toBeGreaterThanOrEqual(size(locked.weights));
  expect(size(fresh)).toBeLessThan(1.05 * size(locked.weights));
  const options = plainMlpOptions.parse({ learningRates: [1e-2] });
  const { weights, work } = await plainFeedForward(from, bench(1600), options);
  expect([...weights.keys()]).toEqual([...fresh.keys()]);
  for (const [name, { data: values }] of locked.weights) {
    if (weights.has(name)) expect(weights.get(name)?.data, name).toBe(values);
  }
  const drawn = new Map([...fresh].map(([name, value]) => [name, locked.weights.get(name) ?? value]));
  const without = await far(drawn, data);
  expect(without).toBeGreaterThan(0.01);
  expect(await far(weights, data)).toBeLessThan(0.1 * without);
  // With a forward pass beside each, 300 steps are 400.
  expect(work).toMatchObject({ steps: 400, tried: 0, spent: { steps: 300, samples: 300 * 30 } });
  expect(work.evaluations).toBeCloseTo(400, 6);
});

it('keeps the rate that fits best, is charged for all, and leaves what no rate fits', async () => {
  const at = async (learningRates: number[]) =>
    plainFeedForward(from, bench(80), plainMlpOptions.parse({ learningRates }));
  const [good, both, bad] = [await at([1e-2]), await at([1e-7, 1e-2]), await at([1e-7])];
  // 15 steps, of which two tries have two each.
  expect(both.work).toMatchObject({ steps: 20, spent: { steps: 15 } });
  expect(both.work.evaluations).toBeCloseTo(13 * (4 / 3), 9);
  expect(both.work.tried).toBeCloseTo(2 * (4 / 3), 9);
  expect(good.work.tried).toBe(0);
  const [best, found, worst] = [
    await far(good.weights, data),
    await far(both.weights, data),
    await far(bad.weights, data),
  ];
  expect(found).toBeLessThan((best + worst) / 2);
  const none = await at([1e30]);
  expect(none.work.notes).toEqual(['plain-mlp left the plain layers as they were drawn, as no fit was finite']);
  for (const { name } of plain.added) expect(none.weights.get(name)?.data).toBe(fresh.get(name)?.data);
});

it('is for models with deep feed-forward layers alone', () => {
  const facts = (model: ModelSpec, weights: StateDict) => ({ model, weights, isLocked: true });
  expect(plainMlpTransform.applies?.(facts(locked, locked.weights), plainMlpOptions.parse({}))).toBeUndefined();
  expect(plainMlpTransform.applies?.(facts(plain.model, fresh), plainMlpOptions.parse({}))).toBe(
    'finds no deep feed-forward layers',
  );
  expect(() => withPlainLayers(plain.model)).toThrow(
    new InputError('expected a model with deep feed-forward layers, found bert'),
  );
  expect(plainMlpTransform.rebuilds?.(locked)?.architecture.name).toBe('bert');
});
