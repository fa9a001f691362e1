import { beforeAll, describe, expect, it } from 'vitest';
import { momentsOf, optionsOf, rankIn } from '../../../test/support/erased.js';
import { contextOn, type DigitModel, differing, digitModel } from '../../../test/support/locked-digits.js';
import { type Dataset, readBatch, subset } from '../../data/index.js';
import { cloneWeights, parameterSet } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import type { ParameterSet } from '../../training/index.js';
import { lockContext } from '../context.js';
import { erase } from './index.js';
import type { EraseOptions } from './options.js';

const free = { maxDrop: 1, maxKl: null };
let digits: DigitModel;
beforeAll(async () => {
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
});

/** @param proxies - Whether the lock is shown the digits that the model is not released for. */
async function locked(of: DigitModel, options: Record<string, unknown>, { proxies = false, sham = false } = {}) {
  const { others, ...own } = of;
  const context = contextOn(proxies ? { ...own, others } : own);
  const parsed = optionsOf(options);
  const result = await erase.run(context, sham ? (erase.sham?.(parsed) as EraseOptions) : parsed);
  await context.release();
  return { result, params: context.params };
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

  it('takes first what proxies need and the authorized task does not: more of it for less than ranks alone', async () => {
    const unlocked = separation(parameterSet(digits.model.weights), digits);
    const byProxies = await locked(digits, { rank: 3, steps: 0, ...free }, { proxies: true });
    const byRank = await locked(digits, { rank: 2, steps: 0, ...free });
    const cost = ({ result }: typeof byRank) => Number(result.after?.metrics.kl);
    expect(cost(byProxies)).toBeLessThan(0.5 * cost(byRank));
    expect(separation(byProxies.params, digits)).toBeLessThan(separation(byRank.params, digits) - 0.05);
    expect(separation(byRank.params, digits)).toBeLessThan(unlocked - 0.1);
    expect(byProxies.result.story).toMatchObject({ proxies: [{ size: 600 }], proxyWeight: 1 });
    expect(byRank.result.story).not.toHaveProperty('proxies');
    // The more it weighs, the more is gone.
    const heavy = await locked(digits, { rank: 3, proxyWeight: 10, steps: 0, ...free }, { proxies: true });
    expect(cost(heavy)).toBeGreaterThan(cost(byProxies));
    expect(separation(heavy.params, digits)).toBeLessThan(separation(byProxies.params, digits));
  });

  it('takes it from the matrices that are named alone', async () => {
    const options = { energy: 1, steps: 0, proxyInclude: ['fc2*'], ...free };
    const { result, params } = await locked(digits, options, { proxies: true });
    expect(differing(params, parameterSet(digits.model.weights))).toEqual(['fc2.weight']);
    expect(result.story).toMatchObject({ proxyMatrices: ['fc2.weight'] });
  });

  it('its sham takes nothing, whatever proxies there are', async () => {
    const options = { proxyWeight: 3, steps: 0, ...free };
    const { params } = await locked(digits, options, { proxies: true, sham: true });
    expect(differing(params, parameterSet(digits.model.weights))).toEqual([]);
  });

  it('refuses a weight of proxies where there are none, and proxies without classes', async () => {
    const { model, train, validation, others } = digits;
    const run = async (options: Record<string, unknown>, adversary?: Dataset) => {
      const of = { ...model, weights: cloneWeights(model.weights) };
      const context = lockContext(
        { model: of, data: { train, validation, adversary }, seed: 1 },
        { engine: { threads: 1 } },
      );
      await erase.run(context, optionsOf({ ...options, steps: 0, ...free })).finally(() => context.release());
    };
    await expect(run({ proxyWeight: 2 })).rejects.toThrow(
      'erase.proxyWeight: expected tasks that an attacker may be after, got none; give --proxies',
    );
    const { labels: _, classes: __, ...plain } = others.train;
    await expect(run({ proxyInclude: ['fc1*'] })).rejects.toThrow(
      'erase.proxyInclude: expected tasks that an attacker',
    );
    await expect(run({ proxyInclude: ['conv*'] }, others.train)).rejects.toThrow(
      'erase.proxyInclude: expected a pattern that matches a matrix to erase from, got "conv*"',
    );
    await expect(run({ proxyWeight: 0 }, others.train)).rejects.toThrow('erase.proxyWeight: expected a number above 0');
    await expect(run({}, plain)).rejects.toThrow('erase: expected a proxy whose examples have classes, found none');
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

it('measures on examples from everywhere in a file that is sorted by class', async () => {
  const { train } = digits;
  const order = [...train.labels.keys()].sort((a, b) => train.labels[a] - train.labels[b]);
  const after = async (dataset: typeof train) => {
    const { result } = await locked({ ...digits, train: dataset }, { rank: 2, examples: 150, steps: 0, ...free });
    return Number(result.after?.metrics.kl);
  };
  // The first 150 of those are all of one class.
  const [mixed, sorted] = [await after(train), await after(subset(train, order))];
  expect(sorted).toBeLessThan(1.3 * mixed);
});
