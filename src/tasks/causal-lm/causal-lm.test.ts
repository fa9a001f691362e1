import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../test/support/compare.js';
import { decodeArray, readFixture, type StoredArray } from '../../../test/support/fixtures.js';
import { textExamples } from '../../../test/support/texts.js';
import { allocateBatch, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import { compile } from '../../engine/index.js';
import { Graph, gradients, mul, reduceSum, type Tensor } from '../../graph/index.js';
import { batchSpecs } from '../../nn/index.js';
import { tasks } from '../index.js';

interface Case {
  name: string;
  prompts: number[];
  ids: StoredArray;
  mask: StoredArray;
  logits: StoredArray;
  original: StoredArray;
  loss: number;
  gradient: StoredArray;
  kl: number;
  klGradient: StoredArray;
  tokenAccuracy: number;
  agreement: number;
  range: [number, number];
}

const { vocabulary, cases } = readFixture<{ vocabulary: number; cases: Case[] }>('causal-lm.json');
const task = tasks.get('causal-lm');
const { loss } = task;
if (!loss) throw new Error('expected a loss');

function datasetOf({ ids, mask, prompts }: Case): Dataset {
  const [texts, tokens] = ids.shape;
  const [values, real] = [decodeArray(ids), decodeArray(mask)].map((array) => Array.from(array, Number));
  const all = Array.from({ length: texts }, (_, row) =>
    values.slice(row * tokens, (row + 1) * tokens).filter((_, at) => real[row * tokens + at] === 1),
  );
  const indices = Uint32Array.from(all.keys());
  return {
    name: 'texts',
    size: texts,
    indices,
    examples: { ...textExamples(all), promptLengths: Uint32Array.from(prompts) },
  };
}

/** Value and gradient of a part of the loss. */
async function computed(
  each: Case,
  part: (logits: Tensor, original: Tensor, target: (name: string) => Tensor) => Tensor,
) {
  const dataset = datasetOf(each);
  const layout = { ...layoutAt(dataset, dataset.indices), ...task.targets(layoutAt(dataset, dataset.indices)) };
  const specs = batchSpecs(layout, dataset.size);
  const batch = allocateBatch(specs);
  gatherBatch(dataset, dataset.indices, { batch, layout });
  const read = task.targetReader(dataset);
  for (const position of dataset.indices) read(position, { batch, row: position, layout });
  const graph = new Graph();
  const { shape } = each.logits;
  const [logits, original] = ['logits', 'original'].map((name) => graph.input(name, shape));
  const value = part(
    logits,
    original,
    (name) => graph.inputs.get(name) ?? graph.input(name, specs[name].shape, 'int64'),
  );
  const [gradient] = gradients(value, [logits]);
  if (!gradient) throw new Error('expected a gradient');
  const program = await compile({ value, gradient }, { threads: 1 });
  const feeds = { logits: decodeArray(each.logits), original: decodeArray(each.original), labels: batch.labels };
  const results = await program.run(feeds);
  await program.release();
  return { value: Number(results.value[0]), gradient: results.gradient as Float32Array };
}

describe.each(cases.map((each) => [each.name, each] as const))('causal language models: %s', (_, each) => {
  it('have the loss of transformers, and no gradient at padding and prompts', async () => {
    const { value, gradient } = await computed(each, (logits, __, target) => loss(logits, target));
    expect(value).toBeCloseTo(each.loss, 5);
    expect(largestDifference(gradient, decodeArray(each.gradient)).error).toBeLessThan(1e-6);
  });

  it('have the KL of torch over the same tokens', async () => {
    const { value, gradient } = await computed(each, (logits, original, target) =>
      task.divergence(logits, original, target),
    );
    expect(value).toBeCloseTo(each.kl, 5);
    expect(largestDifference(gradient, decodeArray(each.klGradient)).error).toBeLessThan(1e-6);
  });

  it('have the curvature of their loss, which is that of the KL', async () => {
    const along = (first: Tensor, logits: Tensor, u: Tensor) => {
      const [slope] = gradients(first, [logits]);
      const [product] = slope ? gradients(reduceSum(mul(slope, u)), [logits]) : [];
      if (!product) throw new Error('expected a second derivative');
      return product;
    };
    const product = async (of: (logits: Tensor, original: Tensor, target: (name: string) => Tensor) => Tensor) =>
      (await computed(each, (logits, original, target) => reduceSum(mul(of(logits, original, target), original))))
        .value;
    const own = await product((logits, original, target) => task.curvature(logits, original, target));
    const hessian = await product((logits, original, target) => along(loss(logits, target), logits, original));
    expect(own).toBeGreaterThan(0);
    expect(own).toBeCloseTo(hessian, 5);
  });

  it('are measured so, in any order of the texts', () => {
    const dataset = datasetOf(each);
    const meter = task.meter(dataset, vocabulary, { compares: true });
    const [texts, tokens] = each.ids.shape;
    const [logits, original] = [each.logits, each.original].map((stored) => decodeArray(stored) as Float32Array);
    const text = tokens * vocabulary;
    for (let position = texts - 1; position >= 0; position--) {
      // As the evaluator pads a text: to its own length.
      const length = dataset.examples.lengths?.[position] ?? 0;
      const piece = (all: Float32Array) => all.slice(position * text, position * text + length * vocabulary);
      meter.add({
        positions: Uint32Array.of(position),
        values: piece(logits),
        shape: [1, length, vocabulary],
        original: piece(original),
      });
    }
    const { n, metrics } = meter.result();
    expect(n).toBe(texts);
    expect(metrics.loss).toBeCloseTo(each.loss, 6);
    expect(metrics.perplexity).toBeCloseTo(Math.exp(each.loss), 4);
    expect(metrics.kl).toBeCloseTo(each.kl, 6);
    expect(metrics).toMatchObject({
      tokenAccuracy: each.tokenAccuracy,
      agreement: each.agreement,
      leastLogit: each.range[0],
      largestLogit: each.range[1],
      notFinite: 0,
    });
  });
});

it('a token whose logits are not finite counts as wrong, and its loss for nothing', () => {
  const [each] = cases;
  const dataset = datasetOf(each);
  const logits = decodeArray(each.logits) as Float32Array;
  logits[0] = Number.NaN;
  const meter = task.meter(dataset, vocabulary);
  meter.add({ positions: dataset.indices, values: logits, shape: each.logits.shape });
  const { metrics } = meter.result();
  const tokens = 5 + 2 + 4;
  expect(metrics.notFinite).toBeCloseTo(1 / tokens, 12);
  expect(Number.isFinite(metrics.loss)).toBe(true);
});

it('guessing is the share of the most frequent next token, prompts left aside', () => {
  const texts = [
    [1, 2, 2, 3],
    [4, 2, 2],
  ];
  const dataset = { name: 'texts', size: 2, indices: Uint32Array.of(0, 1), examples: textExamples(texts) };
  expect(task.guessing(dataset)).toBe(4 / 5);
  expect(task.guessing({ ...dataset, examples: { ...dataset.examples, promptLengths: Uint32Array.of(3, 2) } })).toBe(
    1 / 2,
  );
});
