import { afterAll, describe, expect, it } from 'vitest';
import { textExamples } from '../../../test/support/texts.js';
import { createDataset, type Dataset, subset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, type Model, parameterSet, type StateDict, withOtherHead } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import type { Bench } from '../preparation/bench.js';
import { ownValues, trainWeights } from '../preparation/train-weights.js';
import { pretrainOptions, pretrainTransform, pretrainWeights } from './index.js';

const vocabulary = { size: 44, maskId: 3, special: new Set([0, 1, 2, 3]) };
const sizes = { vocab_size: vocabulary.size, hidden_size: 16, num_attention_heads: 2, num_hidden_layers: 1 };
const encoder = initializeModel(
  'bert',
  {
    ...{ ...sizes, intermediate_size: 32, type_vocab_size: 1, initializer_range: 0.1, num_labels: 2 },
    ...{ architectures: ['BertForSequenceClassification'], hidden_dropout_prob: 0 },
  },
  1,
);

/** Texts of two topics, twenty words each, of which `from` to `to` occur; the class of a text is its topic. */
function textsOf(count: number, { from = 0, to = 20, seed = 1, first = 8 } = {}): Dataset {
  const stream = new RandomStream(seed, 'texts');
  const labels = Int32Array.from({ length: count }, (_, text) => text % 2);
  const tokens = Array.from(labels, (topic, text) => [
    1,
    ...Array.from({ length: text === 0 ? first : 8 }, () => 4 + 20 * topic + from + stream.integer(to - from)),
    2,
  ]);
  const examples = { ...textExamples(tokens), vocabulary };
  return createDataset(examples, { name: 'topics', labels, classes: ['a', 'b'] });
}

const programs = new ProgramCache({ threads: 1 });
const evaluators: Evaluator[] = [];
const runnable = (model: Model) => {
  const evaluator = new Evaluator(model, { threads: 1 });
  evaluators.push(evaluator);
  return { model, evaluator, programs };
};
afterAll(async () => {
  await Promise.all([programs.release(), ...evaluators.map((each) => each.release())]);
});

/** Eight labelled texts, of four words of each topic; the test is on the others. */
const [own, texts, test] = [textsOf(8, { to: 4 }), textsOf(400, { seed: 2 }), textsOf(200, { from: 4, seed: 3 })];
const onEncoder = runnable(encoder);
const bench = (more: Partial<Bench> = {}): Bench => ({
  ...{ released: { ...onEncoder, weights: encoder.weights }, attacked: onEncoder },
  ...{ own, unlabelled: texts, steps: 1200, batchSize: 8 },
  ...more,
});
const options = pretrainOptions.parse({ share: 0.6, learningRates: [1e-2] });

/** What twenty steps with the labelled texts make of some weights. */
async function fineTuned(weights: StateDict): Promise<number> {
  const params = ownValues(weights);
  await trainWeights({
    ...{ on: onEncoder, params, dataset: own, steps: 20, batchSize: 8, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 5e-3 },
  });
  const { metrics } = await onEncoder.evaluator.evaluate(params, test);
  return metrics.accuracy ?? Number.NaN;
}

describe('pretrain', () => {
  it('teaches an encoder by hidden tokens what few labels do not', async () => {
    const { weights, work } = await pretrainWeights(encoder.weights, bench(), options, 1);
    expect(await fineTuned(encoder.weights)).toBeLessThan(0.7);
    expect(await fineTuned(weights)).toBeGreaterThan(0.95);
    expect([...weights.keys()]).toEqual([...encoder.weights.keys()]);
    // What the classifier has for itself is as it was.
    const changed = [...weights].filter(([name, { data }]) => data !== encoder.weights.get(name)?.data);
    const left = [...weights.keys()].filter((name) => !changed.some(([each]) => each === name));
    expect(left).toEqual([
      'bert.pooler.dense.weight',
      'bert.pooler.dense.bias',
      'classifier.weight',
      'classifier.bias',
    ]);
    expect(work.notes).toBeUndefined();
    expect(work.steps).toBeLessThanOrEqual(720);
    // The labels of the texts are of no interest.
    const { labels: _, ...facts } = texts as Dataset & { labels: Int32Array };
    const shuffled = createDataset(texts.examples, {
      ...{ name: facts.name, classes: ['a', 'b'] },
      labels: Int32Array.from({ length: texts.size }, (__, at) => (at < 9 ? 1 : 0)),
    });
    const again = await pretrainWeights(encoder.weights, bench({ unlabelled: shuffled }), options, 1);
    expect(again.weights).toEqual(weights);
  });

  it('counts its steps by what they compute beside those of the task', async () => {
    const few = pretrainOptions.parse({ share: 0.5, learningRates: [1e-2] });
    const { work } = await pretrainWeights(encoder.weights, bench({ steps: 100 }), few, 1);
    expect(work.steps).toBeLessThanOrEqual(50);
    expect(work.evaluations + work.tried).toBeLessThanOrEqual(work.steps);
    // Logits of 44 tokens at each place make a step of this network 1.4 times as long; an eighth is looks at examples.
    expect(work.spent.steps).toBeLessThan(50 / 1.4);
    expect(work.spent.steps).toBeGreaterThan((7 / 8) * (50 / 1.4) - 2);
    // One long text says nothing of how long the others are.
    const uneven = bench({ steps: 100, unlabelled: textsOf(400, { seed: 2, first: 80 }) });
    const { work: long } = await pretrainWeights(encoder.weights, uneven, few, 1);
    expect(Math.abs(long.spent.steps - work.spent.steps)).toBeLessThanOrEqual(1);
    const { weights, work: none } = await pretrainWeights(encoder.weights, bench({ steps: 3 }), few, 1);
    expect(weights).toBe(encoder.weights);
    expect(none).toMatchObject({ steps: 0, notes: ['pretrain left the weights alone, as it had too few steps'] });
    const wild = pretrainOptions.parse({ optimizer: 'sgd', learningRates: [1e30] });
    const { work: lost } = await pretrainWeights(encoder.weights, bench(), wild, 1);
    expect(lost.notes).toEqual(['pretrain left the weights alone, as no learning rate made them better']);
  });

  it('teaches a decoder by next tokens, with a head of its own or under a drawn one, from the examples where there is nothing else', async () => {
    const keys = { ...sizes, n_embd: 16, n_head: 2, n_layer: 1, n_positions: 16, attn_pdrop: 0, embd_pdrop: 0 };
    const { hidden_size: _, num_attention_heads: __, num_hidden_layers: ___, ...given } = keys;
    const as = (name: string) => initializeModel('gpt2', { ...given, resid_pdrop: 0, architectures: [name] }, 2);
    const many = subset(
      texts,
      Array.from({ length: 300 }, (_text, at) => at),
    );
    const held = subset(
      texts,
      Array.from({ length: 100 }, (_text, at) => 300 + at),
    );
    const language = runnable(as('GPT2LMHeadModel'));
    const lossOf = async (weights: StateDict) =>
      (await language.evaluator.evaluate(parameterSet(weights), held)).metrics.loss ?? Number.NaN;
    for (const name of ['GPT2LMHeadModel', 'GPT2ForSequenceClassification']) {
      const model = as(name);
      const on = runnable(model);
      const { weights } = await pretrainWeights(
        model.weights,
        { released: { ...on, weights: model.weights }, attacked: on, own: many, steps: 600, batchSize: 16 },
        options,
        1,
      );
      expect([...weights.keys()], name).toEqual([...model.weights.keys()]);
      const read = (some: StateDict) => withOtherHead(model, some, { kind: 'causal-lm', labels: [] }, 1).model.weights;
      const [before, after] = [await lossOf(read(model.weights)), await lossOf(read(weights))];
      expect(before, name).toBeGreaterThan(Math.log(44) - 0.1);
      // Of a topic that is known by the first word, one of twenty words comes next.
      expect(after, name).toBeLessThan(Math.log(44) - 0.5);
    }
  });

  it('is for models of texts alone', () => {
    const mlp = initializeModel('mlp', { num_labels: 2, hidden_sizes: [3] }, 1);
    const said = (model: Model) =>
      pretrainTransform.applies?.({ model, weights: model.weights, isLocked: true }, options);
    expect(said(mlp)).toBe('finds no head that names the tokens of texts');
    expect(said(encoder)).toBeUndefined();
  });
});
