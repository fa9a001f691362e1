import { describe, expect, it } from 'vitest';
import { decodeArray } from '../../../test/support/fixtures.js';
import { textExamples } from '../../../test/support/texts.js';
import { tokenCases } from '../../../test/support/token-tasks.js';
import { batchAt, type Dataset, gatherBatch, layoutAt, NO_CLASS, subset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel } from '../../models/index.js';
import { tasks } from '../index.js';
import { TokenMeter } from '../token-meter.js';

const task = tasks.get('masked-lm');
const vocabulary = { size: 50, maskId: 4, special: new Set([0, 1, 2, 3, 4]) };
const none = BigInt(NO_CLASS);

/** Texts of such lengths, with a special token at both ends. */
function textsOf(lengths: readonly number[], options = {}): Dataset {
  const tokens = lengths.map((length, text) =>
    Array.from({ length }, (_, at) => (at === 0 ? 1 : at === length - 1 ? 2 : 5 + ((7 * at + 3 * text) % 45))),
  );
  const examples = { ...textExamples(tokens, options), vocabulary };
  return { name: 'texts', size: lengths.length, indices: Uint32Array.from(lengths.keys()), examples };
}

const view = (dataset: Dataset) => task.view?.(dataset) ?? dataset;

/** The arrays of a view, as numbers. */
function arraysOf(dataset: Dataset) {
  const batch = batchAt(
    dataset,
    Uint32Array.from({ length: dataset.size }, (_, position) => position),
  );
  const of = (name: string) => [...(batch[name] as BigInt64Array)];
  return { ids: of('input_ids'), labels: of('labels'), mask: of('attention_mask') };
}

describe('hidden tokens', () => {
  const dataset = textsOf(Array.from({ length: 400 }, () => 82));
  const plain = [...(batchAt(dataset, dataset.indices).input_ids as BigInt64Array)];
  const { ids, labels } = arraysOf(view(dataset));
  const chosen = [...labels.keys()].filter((at) => labels[at] !== none);

  it('are 15 % of those that are not special, and what is to be found is what stood there', () => {
    // round(0.15 · 80) of each text.
    expect(chosen.length).toBe(400 * 12);
    for (const at of chosen) expect(labels[at]).toBe(plain[at]);
    for (const at of chosen) expect(vocabulary.special.has(Number(plain[at]))).toBe(false);
    const others = [...ids.keys()].filter((at) => labels[at] === none);
    for (const at of others) expect(ids[at]).toBe(plain[at]);
    // Each place is as likely as any other: 400 draws of 0.15, within 4 deviations.
    for (let place = 1; place <= 80; place++) {
      const count = chosen.filter((at) => at % 82 === place).length;
      expect(Math.abs(count - 60), `place ${place}`).toBeLessThan(4 * Math.sqrt(400 * 0.15 * 0.85));
    }
  });

  it('are masked, replaced or left: 80, 10 and 10 % of them', () => {
    const share = (is: (at: number) => boolean) => chosen.filter(is).length / chosen.length;
    const deviation = (p: number) => 4 * Math.sqrt((p * (1 - p)) / chosen.length);
    expect(Math.abs(share((at) => ids[at] === 4n) - 0.8 - 0.1 / 50)).toBeLessThan(deviation(0.8));
    // Any token of the vocabulary, once in 50 its own.
    expect(Math.abs(share((at) => ids[at] === plain[at]) - 0.1 - 0.1 / 50)).toBeLessThan(deviation(0.1));
    const replaced = chosen.filter((at) => ids[at] !== 4n && ids[at] !== plain[at]).map((at) => Number(ids[at]));
    expect(new Set(replaced).size).toBeGreaterThan(45);
    expect(Math.max(...replaced)).toBeLessThan(50);
  });

  it('are the same in every measurement, in any batch, on either side of padding; and drawn anew in training', () => {
    const few = textsOf([9, 4, 12]);
    const alone = [0, 1, 2].map((position) => arraysOf(subset(view(few), [position])));
    for (const options of [{}, { side: 'left' }, { side: 'left', length: 15 }, { length: 20 }]) {
      const { ids: all, labels: found, mask } = arraysOf(view(textsOf([9, 4, 12], options)));
      const real = (values: readonly bigint[]) => values.filter((_, at) => mask[at] === 1n);
      expect(real(all)).toEqual(alone.flatMap((each) => each.ids));
      expect(real(found)).toEqual(alone.flatMap((each) => each.labels));
      expect(found.filter((_, at) => mask[at] === 0n).every((label) => label === none)).toBe(true);
    }
    const seen = view(few);
    expect(view(seen)).toBe(seen);
    const drawn = (index: number) => {
      const batch = batchAt(seen, few.indices);
      const to = { batch, layout: layoutAt(seen, few.indices) };
      gatherBatch(seen, few.indices, to, new RandomStream(1, 'augmentation', index));
      return batch.labels;
    };
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
  });

  it('are one at least of a text, and none where there is nothing but special tokens', () => {
    const { labels: found } = arraysOf(view(textsOf([3, 2])));
    expect(found.slice(0, 3).filter((label) => label !== none)).toHaveLength(1);
    expect(found.slice(3).every((label) => label === none)).toBe(true);
    expect(task.guessing(textsOf([2]))).toBe(0);
  });

  it('are guessed by the most frequent of them', () => {
    const words = [1, 7, 7, 7, 7, 7, 2];
    const examples = { ...textExamples([words, [1, 7, 8, 2]]), vocabulary };
    const indices = Uint32Array.of(0, 1);
    const all: Dataset = { name: 'texts', size: 2, indices, examples };
    const found = arraysOf(view(all)).labels.filter((label) => label !== none);
    expect(task.guessing(all)).toBe(found.filter((label) => label === 7n).length / found.length);
    expect(task.guessing(subset(all, [0]))).toBe(1);
  });
});

describe.each(tokenCases.filter((each) => each.task === task.name).map((each) => [each.side, each] as const))(
  'hidden tokens of texts padded on the %s',
  (_, each) => {
    it('are measured as by torch', () => {
      const width = each.logits.shape[2];
      const labels = decodeArray(each.labels) as BigInt64Array;
      const meter = new TokenMeter(() => labels, width, true);
      const [values, original] = [each.logits, each.original].map((stored) => decodeArray(stored) as Float32Array);
      meter.add({ positions: Uint32Array.of(0, 1, 2), values, original, shape: each.logits.shape });
      const { metrics } = meter.result();
      expect(metrics.loss).toBeCloseTo(each.loss, 6);
      expect(metrics.perplexity).toBeCloseTo(Math.exp(each.loss), 4);
      expect(metrics.kl).toBeCloseTo(each.kl, 6);
      expect(metrics).toMatchObject({ tokenAccuracy: each.accuracy, agreement: each.agreement, notFinite: 0 });
    });
  },
);

it('a tokenizer without a mask, or with more tokens than the model, is refused', () => {
  const bert = { vocab_size: 50, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 4 };
  const keys = { ...bert, type_vocab_size: 1, architectures: ['BertForMaskedLM'] };
  const model = initializeModel('bert', keys, 1);
  const dataset = textsOf([5]);
  const as = (known: typeof vocabulary | undefined) => ({
    ...dataset,
    examples: { ...dataset.examples, vocabulary: known },
  });
  expect(() => task.requireFit(model, dataset)).not.toThrow();
  expect(() => task.requireFit(initializeModel('bert', { ...keys, vocab_size: 49 }, 1), dataset)).toThrow(
    "texts: expected a tokenizer of at most the model's 49 tokens, found one of 50",
  );
  expect(() => task.requireFit(model, as(undefined))).toThrow(
    'texts: expected texts of a tokenizer with a mask_token, found none',
  );
  const maskless = { ...vocabulary, maskId: undefined } as unknown as typeof vocabulary;
  expect(() => task.requireFit(model, as(maskless))).toThrow('found a tokenizer without one');
});
