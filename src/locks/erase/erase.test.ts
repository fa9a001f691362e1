import { beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { createDataset, readBatch, TextExamples } from '../../data/index.js';
import { exactSingularValues } from '../../linalg/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet, weightMatrices } from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';
import { lockContext } from '../context.js';
import { erase } from './index.js';
import { eachMoments, erasable, type Moments } from './moments.js';

const engine = { threads: 1 };
const optionsOf = (options: Record<string, unknown>) => parseOptions(erase.options, options, 'erase');
const free = { maxDrop: 1, maxKl: null };
let digits: DigitModel;
beforeAll(async () => {
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
});

async function locked(of: DigitModel, options: Record<string, unknown>) {
  const context = contextOn(of);
  const result = await erase.run(context, optionsOf(options));
  await context.release();
  return { result, params: context.params };
}

const rankIn = (params: ParameterSet, model: Model, name: string) => {
  const [{ rows, columns }] = weightMatrices(model.weights, { include: [name] });
  const sigma = exactSingularValues(params.get(name) ?? new Float32Array(), rows, columns);
  return sigma.filter((value) => value > 1e-5 * sigma[0]).length;
};

async function momentsOf(model: Model, dataset: DigitModel['train']): Promise<Map<string, Moments>> {
  const found = new Map<string, Moments>();
  const task = taskOf(model);
  const { matrices } = erasable(model, task, weightMatrices(model.weights));
  const how = { matrices, dataset, task, seed: 1, engine };
  await eachMoments(model, parameterSet(model.weights), how, ({ name }, moments) => void found.set(name, moments));
  return found;
}

/** Largest difference of two arrays after both are brought to a mean diagonal of 1, `[n, n]`. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>, n: number): number {
  const scale = (of: ArrayLike<number>) =>
    n / Array.from({ length: n }, (_, i) => of[i * (n + 1)]).reduce((x, y) => x + y);
  const [own, other] = [scale(a), scale(b)];
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value * own - b[i] * other)), 0);
}

describe('the second moments that erase measures', () => {
  it('are those of the inputs: pixels of the first layer', async () => {
    const moments = await momentsOf(digits.model, digits.train);
    const x = readBatch(digits.train).x as Float32Array;
    const expected = new Float64Array(784 * 784);
    for (let row = 0; row < digits.train.size; row++) {
      for (let i = 0; i < 784; i++) {
        const left = x[row * 784 + i];
        if (left !== 0) for (let j = 0; j < 784; j++) expected[i * 784 + j] += left * x[row * 784 + j];
      }
    }
    expect(apart(moments.get('fc1.weight')?.right.values ?? [], expected, 784)).toBeLessThan(1e-3);
  });

  it("are those of the output's gradients: at the logits every direction alike but the constant", async () => {
    const moments = await momentsOf(digits.model, digits.train);
    const expected = Array.from({ length: 36 }, (_, at) => Number(at % 7 === 0) - 1 / 6);
    // 600 draws: a deviation of 0.06 for each value beside a diagonal of 1.
    expect(apart(moments.get('fc3.weight')?.left.values ?? [], expected, 6)).toBeLessThan(0.25);
  });

  it('of a unit behind a ReLU that never opens are 0', async () => {
    const weights = cloneWeights(digits.model.weights);
    weights.get('fc2.bias')?.data.fill(-1e6, 3, 4);
    const moments = await momentsOf({ ...digits.model, weights }, digits.train);
    const { values } = moments.get('fc2.weight')?.left ?? { values: new Float64Array() };
    expect(values[3 * 17]).toBe(0);
    expect(values[4 * 17]).toBeGreaterThan(0);
    expect(moments.get('fc3.weight')?.right.values[3 * 17]).toBe(0);
  });
});

describe('erase', () => {
  it('leaves each matrix the asked rank before healing, and those of no higher rank as they are', async () => {
    const { result, params } = await locked(digits, { rank: 6, steps: 0, ...free });
    expect(['fc1.weight', 'fc2.weight', 'fc3.weight'].map((name) => rankIn(params, digits.model, name))).toEqual([
      6, 6, 6,
    ]);
    expect(params.get('fc3.weight')).toEqual(parameterSet(digits.model.weights).get('fc3.weight'));
    expect(result).toMatchObject({ steps: 1, stepsTried: 1 });
    expect(result.story).toMatchObject({ examples: 600, leftAlone: {}, ranks: { 'fc3.weight': { rank: 6, of: 6 } } });
  });

  it('keeps the output better than the best plain rank does', async () => {
    const { result } = await locked(digits, { rank: 2, exclude: ['fc3*'], steps: 0, ...free });
    const plain = await locked(digits, { rank: 2, exclude: ['fc3*'], steps: 0, ridge: 1e9, ...free });
    expect(Number(result.after?.metrics.kl)).toBeLessThan(0.5 * Number(plain.result.after?.metrics.kl));
  });

  it('takes the least rank whose cost alone is within a budget on the outputs', async () => {
    const ranksOf = async (kl: number) => {
      const { result } = await locked(digits, { kl, examples: 200, steps: 0, ...free });
      const ranks = (result.story as { ranks: Record<string, { rank: number }> }).ranks;
      return ['fc1.weight', 'fc2.weight'].map((name) => ranks[name].rank);
    };
    const [loose, tight] = [await ranksOf(0.3), await ranksOf(1e-4)];
    for (const at of [0, 1]) expect(loose[at]).toBeLessThan(tight[at]);
    expect(tight[1]).toBeLessThanOrEqual(16);
  });

  it('heals: within the budget again, and what others need is gone from the hidden layers', async () => {
    const { result, params } = await locked(digits, {
      rank: 2,
      steps: 300,
      batchSize: 32,
      learningRate: 1e-3,
      maxDrop: 0.01,
      maxKl: 0.1,
    });
    expect(result.stoppedByBudget).toBe(false);
    expect(Number(result.before?.metrics.accuracy) - Number(result.after?.metrics.accuracy)).toBeLessThan(0.0101);
    const probe = (of: ParameterSet) => separation(of, digits);
    expect(probe(parameterSet(digits.model.weights))).toBeGreaterThan(0.9);
    expect(probe(params)).toBeLessThan(probe(parameterSet(digits.model.weights)) - 0.1);
  });

  it('takes one rule for its ranks', () => {
    expect(() => optionsOf({ rank: 3, energy: 0.5 })).toThrow(InputError);
    expect(() => optionsOf({ rank: 3, energy: 0.5 })).toThrow(
      'expected one of rank, energy and kl, got rank and energy',
    );
  });
});

/** Hidden values of the second layer, `[size, 16]`. */
function hidden(params: ParameterSet, dataset: DigitModel['train']): Float64Array[] {
  const x = readBatch(dataset).x as Float32Array;
  const layer = (from: Float64Array, name: string, outputs: number) => {
    const [w, b] = [`${name}.weight`, `${name}.bias`].map((key) => params.get(key) ?? new Float32Array());
    return Float64Array.from({ length: outputs }, (_, o) => {
      let sum = b[o];
      for (let i = 0; i < from.length; i++) sum += w[o * from.length + i] * from[i];
      return Math.max(sum, 0);
    });
  };
  return Array.from({ length: dataset.size }, (_, row) =>
    layer(layer(Float64Array.from(x.subarray(row * 784, (row + 1) * 784)), 'fc1', 24), 'fc2', 16),
  );
}

/** Accuracy of the nearest class mean in the hidden values, over digits that the model is not released for. */
function separation(params: ParameterSet, { others }: DigitModel): number {
  const means = [0, 1, 2].map(() => new Float64Array(16));
  const counts = [0, 0, 0];
  hidden(params, others.train).forEach((values, row) => {
    const label = others.train.labels[row];
    counts[label]++;
    for (let i = 0; i < 16; i++) means[label][i] += values[i];
  });
  for (const [label, mean] of means.entries()) for (let i = 0; i < 16; i++) mean[i] /= counts[label];
  const found = hidden(params, others.test).map((values) => {
    const away = means.map((mean) => mean.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0));
    return away.indexOf(Math.min(...away));
  });
  return found.filter((label, row) => label === others.test.labels[row]).length / found.length;
}

it('erases from convolutions, and keeps the output better than the best plain rank does', async () => {
  const cnn = await digitModel('cnn', { channels: [4, 6], hidden_sizes: [24, 20, 16] });
  const { result, params } = await locked(cnn, { rank: 3, steps: 0, ...free });
  for (const name of ['conv1.weight', 'conv2.weight', 'fc1.weight']) expect(rankIn(params, cnn.model, name)).toBe(3);
  const plain = await locked(cnn, { rank: 3, steps: 0, ridge: 1e9, ...free });
  expect(Number(result.after?.metrics.kl)).toBeLessThan(Number(plain.result.after?.metrics.kl));
});

it('erases from an encoder of texts, its tables too, and leaves alone what the output does not depend on', async () => {
  const keys = { vocab_size: 32, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 24 };
  const model = initializeModel('bert', { ...keys, architectures: ['BertModel'], initializer_range: 0.5 }, 1);
  const encodings = [9, 4, 12, 7, 5, 6].map((length, text) => {
    const ids = Array.from({ length }, (_, at) => 1 + ((7 * text + 5 * at) % 31));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
  const dataset = createDataset(new TextExamples(encodings, { padId: 0 }), facts);
  const weights = cloneWeights(model.weights);
  const data = { train: dataset, validation: dataset };
  const context = lockContext({ model: { ...model, weights }, data, seed: 1 }, { engine });
  const result = await erase.run(context, optionsOf({ rank: 5, tableRank: 7, steps: 0, utilityFloor: 0, maxKl: null }));
  await context.release();
  const ranks = (result.story as { ranks: Record<string, { rank: number; of: number }> }).ranks;
  expect(Object.keys(ranks).sort()).toEqual(
    weightMatrices(model.weights)
      .map(({ name }) => name)
      .filter((name) => !name.includes('pooler'))
      .sort(),
  );
  const words = [...weights.keys()].find((name) => name.endsWith('word_embeddings.weight')) as string;
  expect(ranks[words]).toMatchObject({ rank: 7, of: 16 });
  const params = parameterSet(weights);
  expect(rankIn(params, model, words)).toBe(7);
  const query = [...weights.keys()].find((name) => name.endsWith('0.attention.self.query.weight')) as string;
  expect(rankIn(params, model, query)).toBe(5);
  expect(result.after?.metrics.cosine).toBeLessThan(0.999);
});
