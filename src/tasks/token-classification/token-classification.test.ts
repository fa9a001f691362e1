import { describe, expect, it } from 'vitest';
import { decodeArray } from '../../../test/support/fixtures.js';
import { textExamples } from '../../../test/support/texts.js';
import { datasetOf, tokenCases } from '../../../test/support/token-tasks.js';
import { batchAt, type Dataset, layoutAt, NO_CLASS, subset } from '../../data/index.js';
import { initializeModel } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { tasks } from '../index.js';

const task = tasks.get('token-classification');
const names = ['O', 'PER', 'LOC'];

/** Texts of as many tokens as they have classes. */
function tagged(classes: readonly (readonly number[])[], options = {}): Dataset {
  const examples = textExamples(
    classes.map((own) => own.map((_, at) => at + 1)),
    options,
  );
  const of = (index: number) => Int32Array.from(classes[index]);
  const indices = Uint32Array.from(classes.keys());
  return { name: 'tagged', size: classes.length, indices, examples: { ...examples, tokenClasses: { names, of } } };
}

const cases = tokenCases.filter((each) => each.task === task.name);

describe.each(cases.map((each) => [each.side, each] as const))('tokens padded on the %s', (_, each) => {
  const dataset = datasetOf(each);
  const [texts, tokens, width] = each.logits.shape;
  const [values, original] = [each.logits, each.original].map((stored) => decodeArray(stored) as Float32Array);

  it('are to be what they are to be there', () => {
    const layout = { ...layoutAt(dataset, dataset.indices), ...task.targets(layoutAt(dataset, dataset.indices)) };
    const batch = { ...batchAt(dataset, dataset.indices), labels: new BigInt64Array(texts * tokens) };
    const read = task.targetReader(dataset);
    for (const row of dataset.indices) read(row, { batch, row, layout });
    expect(batch.labels).toEqual(decodeArray(each.labels));
  });

  it('are measured as by torch and torchmetrics, in any order of the texts', () => {
    const meter = task.meter(dataset, width, { compares: true });
    const text = tokens * width;
    for (let position = texts - 1; position >= 0; position--) {
      const row = (all: Float32Array) => all.slice(position * text, (position + 1) * text);
      meter.add({
        positions: Uint32Array.of(position),
        values: row(values),
        shape: [1, tokens, width],
        original: row(original),
      });
    }
    const { n, metrics } = meter.result();
    expect(n).toBe(texts);
    expect(metrics.loss).toBeCloseTo(each.loss, 6);
    expect(metrics.kl).toBeCloseTo(each.kl, 6);
    expect(metrics.accuracy).toBeCloseTo(each.accuracy, 12);
    expect(metrics.agreement).toBeCloseTo(each.agreement, 12);
    expect(metrics.f1).toBeCloseTo(each.f1 ?? Number.NaN, 6);
    expect([metrics.leastLogit, metrics.largestLogit]).toEqual(each.range);
    for (let label = 0; label < width; label++) {
      expect(metrics[`f1.${label}`], `f1.${label}`).toBeCloseTo(each.f1OfClass?.[label] ?? Number.NaN, 6);
      // torchmetrics gives 0 to a class without tokens, which has no recall.
      expect(metrics[`recall.${label}`] ?? 0, `recall.${label}`).toBeCloseTo(
        each.recallOfClass?.[label] ?? Number.NaN,
        6,
      );
    }
  });
});

describe('token classification', () => {
  const none = NO_CLASS;
  const dataset = tagged([
    [none, 0, 0, none],
    [none, 1, none, 0],
    [0, 2],
    [0, 0, 0],
  ]);

  it('guesses the most frequent class of the tokens that have one', () => {
    expect(task.guessing(dataset)).toBe(7 / 9);
    expect(task.guessing(subset(dataset, [1]))).toBe(1 / 2);
  });

  it('tells its classes apart, by their names', () => {
    expect(task.parts(dataset).entries).toEqual([
      { name: 'O', n: 7, metric: 'recall.0' },
      { name: 'PER', n: 1, metric: 'recall.1' },
      { name: 'LOC', n: 1, metric: 'recall.2' },
    ]);
    expect(task.metric('f1.2', dataset).title).toBe('F1 of LOC');
    expect(() => task.metric('f1.3', dataset)).toThrow('expected one of accuracy, f1');
    expect(task.headFor(dataset)).toEqual({ kind: 'token-classifier', labels: names });
  });

  it('draws texts until each class has its few, by the seed', () => {
    const many = tagged(
      Array.from({ length: 60 }, (_, index) => (index % 10 === 0 ? [0, 1 + ((index / 10) % 2)] : [0])),
    );
    const drawn = task.fewShot(many, 2, 5);
    const counts = names.map(
      (_, label) => [...drawn.indices].filter((index) => many.examples.tokenClasses?.of(index).includes(label)).length,
    );
    expect(counts.slice(1)).toEqual([2, 2]);
    // Those of other classes have the first as well.
    expect(counts[0]).toBeGreaterThanOrEqual(4);
    expect(drawn.size).toBeLessThanOrEqual(6);
    expect(task.fewShot(many, 2, 5).indices).toEqual(drawn.indices);
    expect(task.fewShot(many, 2, 6).indices).not.toEqual(drawn.indices);
    expect(task.fewShot(many, 100, 5).size).toBe(60);
  });

  it('refuses models with another head or fewer classes, and texts without classes', () => {
    const bert = { vocab_size: 9, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 4 };
    const model = (name: string, more: object = {}) =>
      initializeModel('bert', { ...bert, type_vocab_size: 1, architectures: [name], ...more }, 1);
    expect(() => task.requireFit(model('BertForTokenClassification', { num_labels: 3 }), dataset)).not.toThrow();
    expect(() => task.requireFit(model('BertForTokenClassification', { num_labels: 2 }), dataset)).toThrow(
      'tagged: expected at most 2 classes for the model, found 3',
    );
    expect(() => task.requireFit(model('BertForMaskedLM'), dataset)).toThrow(
      'bert: expected a head token-classifier for the task, found masked-lm',
    );
    const plain = { ...dataset, examples: textExamples([[1, 2]]) };
    expect(() => task.requireFit(model('BertForTokenClassification'), plain)).toThrow(InputError);
    expect(() => tasks.get('classification').guessing(dataset)).toThrow(
      'tagged: expected examples with classes, found none but of words, whose task is token-classification',
    );
  });
});
