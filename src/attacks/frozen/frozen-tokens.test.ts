import { afterAll, describe, expect, it } from 'vitest';
import { textExamples } from '../../../test/support/texts.js';
import type { Dataset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, parameterSet } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import { trainedParts } from '../trained/index.js';
import { frozenTokens } from './frozen-tokens.js';

const vocabulary = 12;
const model = initializeModel(
  'llama',
  {
    ...{ vocab_size: vocabulary, hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1 },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 32, initializer_range: 0.5 },
  },
  1,
);
const evaluator = new Evaluator(model, { threads: 1 });
const released = async () => ({ weights: model.weights, evaluator });
afterAll(() => evaluator.release());

/** Texts of tokens by some rule. */
function texts(name: string, size: number, token: (stream: RandomStream) => number) {
  const stream = new RandomStream(1, name);
  const tokens = Array.from({ length: size }, (_, at) => Array.from({ length: 5 + (at % 4) }, () => token(stream)));
  const dataset: Dataset = { name, size, indices: Uint32Array.from(tokens.keys()), examples: textExamples(tokens) };
  return { dataset, tokens };
}
const uniform = (stream: RandomStream) => stream.integer(vocabulary);
/** Nearly always one token, which the model does not know. */
const skewed = (stream: RandomStream) => (stream.uniform() < 0.9 ? 7 : uniform(stream));

/** The share of next tokens that the largest logit names, each shifted so far, and the tokens with the sums of their probabilities. */
async function counted({ dataset, tokens }: ReturnType<typeof texts>, shift: readonly number[] = []) {
  let [right, all] = [0, 0];
  const [counts, sums] = [new Array(vocabulary).fill(0), new Array(vocabulary).fill(0)];
  for (const [position, text] of tokens.entries()) {
    const one = { ...dataset, size: 1, indices: Uint32Array.of(position) };
    await evaluator.each(parameterSet(model.weights), one, ({ values }) => {
      for (const [at, next] of text.slice(1).entries()) {
        const logits = [...values.subarray(at * vocabulary, (at + 1) * vocabulary)];
        const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
        for (const [token, logit] of logits.entries()) sums[token] += Math.exp(logit) / total;
        const moved = logits.map((logit, token) => logit + (shift[token] ?? 0));
        counts[next]++;
        all++;
        right += Number(moved.indexOf(Math.max(...moved)) === next);
      }
    });
  }
  return { accuracy: right / all, counts, sums };
}

describe('frozen use of a language model', () => {
  it('shifts its outputs to how often the training texts have each token, where that helps on others', async () => {
    const [train, test] = [texts('train', 40, skewed), texts('test', 30, skewed)];
    const budget = { seeds: [1, 2] };
    const found = await frozenTokens({ released, train: () => train.dataset, test: test.dataset, target: 0.8, budget });
    const plain = await counted(test);
    expect(found.learningRate).toBe(1);
    const { counts, sums } = await counted(train);
    const shifted = await counted(
      test,
      counts.map((count, token) => Math.log((count + 1) / (sums[token] + 1))),
    );
    expect(shifted.accuracy).toBeGreaterThan(plain.accuracy + 0.3);
    for (const trial of found.trials) {
      expect(trial.score).toBeCloseTo(shifted.accuracy, 12);
      expect(trial).toMatchObject({ cost: 0, end: 'target', evaluations: 0, curve: [{ step: 0, score: trial.score }] });
      expect(trial.spent).toMatchObject({ steps: 0, samples: 40 });
      expect(trial.spent?.flops).toBeGreaterThan(0);
    }
  });

  it('takes them as they are where one text says nothing of others', async () => {
    const [train, test] = [texts('one', 1, uniform), texts('test', 30, uniform)];
    const budget = { seeds: [3] };
    const { trials } = await frozenTokens({ released, train: () => train.dataset, test: test.dataset, budget });
    expect(trials[0]).toMatchObject({ learningRate: 0, score: (await counted(test)).accuracy, end: 'budget' });
  });

  it('is tried on models whose own outputs are tokens', () => {
    const { applies } = trainedParts.get('none');
    const facts = { model, weights: model.weights, isLocked: true };
    expect(applies?.(facts, {})).toBeUndefined();
    expect(applies?.({ ...facts, isNewHead: true }, {})).toBe("need a model whose own outputs are the task's");
    const embeds = { ...model, head: { ...model.head, kind: 'embedding' as const } };
    expect(applies?.({ ...facts, model: embeds }, {})).toMatch('need examples with an answer each');
  });

  it('is no use of a task whose answers are no tokens', async () => {
    const other = { ...evaluator.task, tokens: undefined };
    const own = new Evaluator(model, { threads: 1 }, { task: other });
    const { dataset: train } = texts('train', 4, uniform);
    const search = frozenTokens({
      ...{ released: async () => ({ weights: model.weights, evaluator: own }), train: () => train, test: train },
      budget: { seeds: [1] },
    });
    await expect(search).rejects.toThrow('train: expected a task of tokens, found causal-lm');
    await own.release();
  });
});
