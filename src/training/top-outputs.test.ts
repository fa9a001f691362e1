import { afterAll, describe, expect, it } from 'vitest';
import { largestDifference } from '../../test/support/compare.js';
import { createDataset, TextExamples } from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import { initializeModel, parameterSet } from '../models/index.js';
import { createObjective, Evaluator, type Reference, TopOutputs } from './index.js';

const engine = { threads: 1 };
const vocabulary = 40;
const size = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24 };
const keys = { ...size, vocab_size: vocabulary, architectures: ['LlamaForCausalLM'], initializer_range: 0.5 };
const [model, other] = [1, 2].map((seed) => initializeModel('llama', keys, seed));
const stream = new RandomStream(1, 'texts');
const encodings = [9, 4, 12, 7, 5, 16].map((length) => {
  const ids = Array.from({ length }, () => 1 + stream.integer(vocabulary - 1));
  return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
});
const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
const dataset = createDataset(new TextExamples(encodings, { padId: 0 }), facts);
const params = parameterSet(model.weights);
const original = parameterSet(other.weights);
const evaluator = new Evaluator(model, engine);
afterAll(() => evaluator.release());

/** Loss and gradients of a batch of three texts, of the divergence alone. */
async function divergence(reference: Reference, of = params, accumulate = 1) {
  const options = { model, dataset, batchSize: 3, accumulate, seed: 1, loss: { task: 0, divergence: 1 }, engine };
  const objective = await createObjective({ ...options, reference });
  const { loss, gradients, tokens } = await objective.compute(of, 1);
  const copy = new Map([...gradients].map(([name, values]) => [name, values.slice()]));
  await objective.release();
  return { loss, gradients: copy, tokens };
}

const top = async (k: number) => ({ top: await evaluator.topOutputs(original, dataset, k) });

describe('a divergence from the most likely answers of an original', () => {
  it('is that from all of them where all but one are kept', async () => {
    const whole = await divergence({ weights: original });
    const kept = await divergence(await top(vocabulary - 1));
    expect(whole.loss).toBeGreaterThan(0.1);
    expect(kept.loss).toBeCloseTo(whole.loss, 5);
    for (const [name, gradient] of whole.gradients) {
      expect(largestDifference(kept.gradients.get(name) ?? [], gradient).error, name).toBeLessThan(1e-3);
    }
  });

  it('is less, the less is kept, and near to none at the original itself', async () => {
    const whole = (await divergence({ weights: original })).loss;
    const losses = [];
    for (const k of [1, 4, 16]) losses.push((await divergence(await top(k))).loss);
    expect(losses.toSorted((a, b) => a - b)).toEqual(losses);
    expect(losses[2]).toBeLessThan(whole);
    expect(losses[0]).toBeGreaterThan(0);
    const itself = await divergence(await top(4), original);
    expect(Math.abs(itself.loss)).toBeLessThan(1e-6);
    for (const [name, gradient] of itself.gradients) {
      expect(Math.max(...gradient.map(Math.abs)), name).toBeLessThan(1e-5);
    }
  });

  it('is computed in parts as it is at once, and counts the tokens of its batch', async () => {
    const reference = await top(5);
    const [whole, parts] = [await divergence(reference), await divergence(reference, params, 3)];
    expect(parts.loss).toBeCloseTo(whole.loss, 5);
    for (const [name, gradient] of whole.gradients) {
      expect(largestDifference(parts.gradients.get(name) ?? [], gradient).error, name).toBeLessThan(1e-4);
    }
    expect([whole.tokens, parts.tokens]).toEqual([whole.tokens, whole.tokens]);
    // Two batches of three see every text once.
    const objective = await createObjective({ model, dataset, batchSize: 3, seed: 1, engine });
    const seen = [await objective.compute(params, 0), await objective.compute(params, 1)].map(({ tokens }) => tokens);
    await objective.release();
    expect(Number(seen[0]) + Number(seen[1])).toBe(9 + 4 + 12 + 7 + 5 + 16);
  });
});

describe('the most likely answers', () => {
  it('take 8 k + 4 bytes a token', async () => {
    expect((await top(5)).top.bytes).toBe((9 + 4 + 12 + 7 + 5 + 16) * 44);
  });

  it('are refused of tasks that have no vocabulary, of examples that are no texts, and where they are all', async () => {
    const bert = { ...size, vocab_size: vocabulary, architectures: ['BertForSequenceClassification'] };
    const classifier = initializeModel('bert', bert, 1);
    const own = new Evaluator(classifier, engine);
    const labelled = { ...dataset, classes: ['a', 'b'] };
    await expect(own.topOutputs(parameterSet(classifier.weights), labelled, 2)).rejects.toThrow(
      'classification: expected a task whose answers are many, and the same in each step, such as causal-lm',
    );
    await own.release();
    expect(() => new TopOutputs(dataset, { k: 40, width: 40 })).toThrow(
      'texts: expected texts, and fewer than the 40 answers to be kept, got 40',
    );
  });
});
