import { afterAll, expect, it } from 'vitest';
import { textExamples } from '../../../test/support/texts.js';
import { createDataset, type Dataset, dataSpec, loadData } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { initializeModel } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import type { Bench } from '../index.js';
import { distilOptions, distilOutputs, healOptions, healWeights } from '../transforms/index.js';
import { stepCost } from './step-cost.js';

const model = initializeModel(
  'bert',
  {
    ...{ vocab_size: 30, hidden_size: 16, num_attention_heads: 2, num_hidden_layers: 1, intermediate_size: 32 },
    ...{
      max_position_embeddings: 96,
      type_vocab_size: 1,
      num_labels: 2,
      architectures: ['BertForSequenceClassification'],
    },
  },
  1,
);
const other = initializeModel('bert', model.config as Record<string, unknown>, 2).weights;
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(model, { threads: 1 });
const runnable = { model, evaluator, programs };
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
});

/** Texts of a length each; the first may have another. */
function textsOf(count: number, length: number, first = length): Dataset {
  const tokens = Array.from({ length: count }, (_, text) =>
    Array.from({ length: text === 0 ? first : length }, (__, at) => 1 + ((7 * at + 3 * text) % 29)),
  );
  const labels = Int32Array.from(tokens, (_, text) => text % 2);
  return createDataset(textExamples(tokens), { name: 'texts', labels, classes: ['a', 'b'] });
}
const bench = (more: Partial<Bench> = {}): Bench => ({
  ...{ released: { ...runnable, weights: model.weights }, attacked: runnable },
  ...{ own: textsOf(40, 8), steps: 120, batchSize: 8 },
  ...more,
});

it('is one of examples that are as large, whatever their classes', async () => {
  const load = async (classes: number[]) => (await loadData(dataSpec.parse({ classes }))).train;
  const mlp = initializeModel('mlp', { num_labels: 3, hidden_sizes: [6] }, 1);
  const measure = new Evaluator(mlp, { threads: 1 });
  const [own, examples] = [await load([0, 1, 2, 3, 4]), await load([5, 6])];
  expect(stepCost(bench({ own, batchSize: 32 }), examples, { model: mlp, evaluator: measure })).toBe(1);
  await measure.release();
});

it('is as many as texts are longer, by their mean and not by the first of them', () => {
  const cost = (examples: Dataset) => stepCost(bench(), examples, runnable);
  expect(cost(textsOf(40, 8))).toBe(1);
  // Four times, and what attention takes, which grows faster.
  expect(cost(textsOf(40, 32))).toBeGreaterThan(3.8);
  expect(cost(textsOf(40, 32))).toBeLessThan(6);
  expect(cost(textsOf(40, 8, 90))).toBe(1);
  expect(cost(textsOf(40, 4))).toBeLessThan(0.6);
  // A batch that they cannot fill is less.
  expect(cost(textsOf(4, 8))).toBeLessThan(0.55);
});

it.each([
  ['distil', (more: Partial<Bench>) => distilOutputs(other, bench(more), distilOptions.parse(tried), 1)],
  ['heal', (more: Partial<Bench>) => healWeights(other, bench(more), healOptions.parse(tried), 1)],
])('%s takes fewer steps on longer texts, and computes as much', async (_, run) => {
  const [short, long] = [await run({ retain: textsOf(80, 8) }), await run({ retain: textsOf(80, 32) })];
  for (const { work } of [short, long]) {
    expect(work.steps).toBeLessThanOrEqual(60);
    expect(work.evaluations + work.tried).toBeGreaterThan(45);
    expect(work.evaluations + work.tried).toBeLessThanOrEqual(work.steps);
  }
  const ratio = short.work.spent.steps / long.work.spent.steps;
  expect(ratio).toBeGreaterThan(3);
  expect(ratio).toBeLessThan(9);
});
const tried = { share: 0.5, learningRates: [1e-2] };
