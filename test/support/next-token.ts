import { z } from 'zod';
import type { Dataset } from '../../src/data/index.js';
import {
  add,
  cast,
  crossEntropy,
  div,
  expand,
  gather,
  meanSquaredError,
  mul,
  reduceSum,
  reshape,
  type Tensor,
  tanh,
} from '../../src/graph/index.js';
import type { Architecture } from '../../src/models/index.js';
import { linear, normal } from '../../src/nn/index.js';
import { InputError, Registry } from '../../src/registry/index.js';
import type { Task } from '../../src/tasks/index.js';
import { textExamples } from './texts.js';

/** Label of a token that counts for nothing: padding, and the last of a text. */
const ignored = -100;
const vocabulary = 7;

/** A data set of texts: the tokens of each. */
export interface Texts extends Dataset {
  readonly tokens: readonly (readonly number[])[];
}

/** Texts of different lengths in which t is followed by 3·t + 1, so that there is something to learn. */
export function countingTexts(lengths: readonly number[]): Texts {
  const tokens = lengths.map((length, index) => {
    const text = [index % vocabulary];
    while (text.length < length) text.push((3 * text[text.length - 1] + 1) % vocabulary);
    return text;
  });
  return {
    name: 'counting',
    size: tokens.length,
    indices: Uint32Array.from(tokens.keys()),
    tokens,
    examples: textExamples(tokens),
  };
}

/** Embedding of a token, a hidden layer, logits of the next one; the mask keeps padding out of the text's mean. */
export const tinyLanguageModel: Architecture<{ width: number }> = {
  name: 'tiny-language-model',
  description: 'a language model for tests',
  config: z.strictObject({ width: z.int().min(1).default(6) }),
  inputs: () => ({
    input_ids: { shape: [null], dtype: 'int64' },
    attention_mask: { shape: [null], dtype: 'int64' },
  }),
  head: () => ({ kind: 'next-token', size: vocabulary }),
  fit: () => ({}),
  forward(scope, { input_ids, attention_mask }, { width }) {
    const [batch, tokens] = input_ids.shape;
    const table = scope.child('embedding').parameter('weight', [vocabulary, width], normal(1));
    const h = gather(table, input_ids); // [batch, tokens, width]
    const mask = reshape(cast(attention_mask, 'float32'), [batch, tokens, 1]);
    const mean = div(
      reduceSum(mul(h, mask), { axes: [1], keepDims: true }),
      reduceSum(mask, { axes: [1], keepDims: true }),
    );
    const mixed = add(h, expand(mean, h.shape));
    return { logits: linear(scope.child('head'), tanh(linear(scope.child('hidden'), mixed, width)), vocabulary) };
  },
};

const textsOf = (dataset: Dataset) => (dataset as Texts).tokens;
const rows = (logits: Tensor) => reshape(logits, [-1, vocabulary]);

/** The next token of a text, by the logits of each position. */
export const nextToken: Task = {
  name: 'next-token',
  description: 'the next token of a text',
  head: 'next-token',
  output: 'logits',
  metrics: [
    { name: 'right', title: 'tokens right', unit: 'share', better: 'more' },
    { name: 'loss', title: 'loss', unit: 'nats', better: 'less' },
    { name: 'far', title: 'distance to the original', unit: 'number', better: 'less', compares: true },
    { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
  ],
  explanation: 'Over all tokens but the last of each text.',
  roles: { score: 'right', divergence: 'far', notFinite: 'notFinite', loss: 'loss' },
  metric: (name) => new Registry('metric', nextToken.metrics).get(name),
  parts: () => ({ kind: 'text', entries: [] }),
  headFor: () => ({ kind: 'next-token', labels: [] }),
  requireFit(model, dataset) {
    if (!('tokens' in dataset)) throw new InputError(`${dataset.name}: expected texts`);
    if (model.head.kind !== 'next-token') throw new InputError(`expected a head next-token, found ${model.head.kind}`);
  },
  targets: ({ input_ids }) => ({ labels: { shape: input_ids.shape, dtype: 'int64' } }),
  count: ({ labels }) => (labels as BigInt64Array).reduce((sum, label) => sum + Number(label !== BigInt(ignored)), 0),
  targetReader:
    (dataset) =>
    (position, { batch, row, layout }) => {
      const text = textsOf(dataset)[dataset.indices[position]];
      const [width] = layout.labels.shape;
      for (let at = 0; at < width; at++) batch.labels[row * width + at] = BigInt(text[at + 1] ?? ignored);
    },
  loss: (logits, target) => crossEntropy(rows(logits), reshape(target('labels'), [-1])),
  divergence: (logits, original) => meanSquaredError(logits, original),
  curvature: (logits, u) => mul(u, 2 / logits.size),
  meter(dataset, width, { compares = false } = {}) {
    const sums = { texts: 0, tokens: 0, right: 0, loss: 0, far: 0, values: 0, bad: 0 };
    return {
      add({ values: outputs, shape: [, tokens], positions, original }) {
        for (const [text, position] of positions.entries()) {
          const known = textsOf(dataset)[dataset.indices[position]];
          sums.texts++;
          for (let at = 0; at + 1 < known.length; at++) {
            const start = (text * tokens + at) * width;
            const logits = [...outputs.subarray(start, start + width)];
            const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
            sums.tokens++;
            sums.right += Number(logits.indexOf(Math.max(...logits)) === known[at + 1]);
            sums.loss += Math.log(total) - logits[known[at + 1]];
            sums.bad += Number(!logits.every(Number.isFinite));
          }
        }
        outputs.forEach((value, index) => {
          sums.far += ((original?.[index] ?? value) - value) ** 2;
        });
        sums.values += outputs.length;
      },
      result: () => ({
        n: sums.texts,
        metrics: {
          right: sums.right / sums.tokens,
          loss: sums.loss / sums.tokens,
          notFinite: sums.bad / sums.tokens,
          ...(compares && { far: sums.far / sums.values }),
        },
      }),
    };
  },
  guessing: () => 1 / vocabulary,
  fewShot: (dataset) => dataset,
  drawnBy: 'texts',
  disagreements: () => [],
  doubts: () => [],
};
