import { expect, it, vi } from 'vitest';
import { type Dataset, FloatExamples, floatDataset, subset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import { frozenUse } from '../frozen/frozen-use.js';
import { featuresBySeed } from './fitted-part.js';

/** Pairs of points, the class by whether both are one; seen together they are nothing. */
function pairs(size: number, seed: number): Dataset {
  const random = new RandomStream(seed, 'pairs');
  const [first, other] = [new Float32Array(3 * size), new Float32Array(3 * size)];
  random.fillUniform(first, -1, 1);
  random.fillUniform(other, -1, 1);
  const labels = Int32Array.from({ length: size }, (_, i) => i % 2);
  const second = other.map((value, i) => (labels[Math.floor(i / 3)] === 1 ? first[i] : value));
  const whole = floatDataset({
    name: 'pairs',
    shape: [3],
    inputs: new Float32Array(3 * size),
    labels,
    classes: ['differ', 'same'],
  });
  const sides = [new FloatExamples(first, [3]), new FloatExamples(second, [3])] as const;
  return { ...whole, examples: Object.assign(whole.examples, { apart: () => sides }) };
}

it('compares what a model gives for each text of a pair, of a part of the pairs too', async () => {
  const model = initializeModel('mlp', { input_shape: [3], num_labels: 3, hidden_sizes: [] }, 1);
  // Its outputs are its inputs.
  model.weights.get('fc1.weight')?.data.set([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  model.weights.get('fc1.bias')?.data.fill(0);
  const evaluator = new Evaluator(model, { threads: 1 });
  const given = async () => ({ weights: model.weights, evaluator });
  const features = featuresBySeed({ weightsOf: () => 'all', given }, 1024);
  const all = pairs(200, 1);
  const some = subset(all, [3, 4]);
  const { views, flops } = await features.of(some, 1);
  expect(views.map((view) => view.length)).toEqual([2 * 3, 2 * 12]);
  // The row of the third pair, whose texts are the same: u, v, |u − v|, u ∘ v.
  const [u, v] = (all.examples.apart?.() ?? []).map((side) => [...(side as FloatExamples).values.subarray(9, 12)]);
  expect([...views[1].subarray(0, 12)]).toEqual([...u, ...v, 0, 0, 0, ...u.map((x, i) => Math.fround(x * v[i]))]);
  // Three evaluations, where examples that are no pairs take one.
  const single = await features.of({ ...some, examples: new FloatExamples(new Float32Array(600), [3]) }, 1);
  expect([single.views.length, flops / single.flops]).toEqual([1, 3]);

  const budget = { seeds: [1] };
  const { trials } = await frozenUse({ features, train: () => all, test: pairs(200, 2), task: taskOf(model), budget });
  expect(trials[0].score).toBeGreaterThan(0.95);
  await evaluator.release();
});

it('computes features once for each weights, and keeps those of the last used ones', async () => {
  const model = initializeModel('mlp', { input_shape: [3], num_labels: 3, hidden_sizes: [] }, 1);
  const evaluator = new Evaluator(model, { threads: 1 });
  const given = vi.fn(async () => ({ weights: model.weights, evaluator }));
  const { of } = featuresBySeed({ weightsOf: (seed) => seed % 6, given }, 1024);
  const [some, others] = [subset(pairs(4, 1), [0]), subset(pairs(4, 1), [1])];
  const first = await of(some, 1);
  expect(await of(some, 7)).toBe(first);
  expect(await of(others, 1)).not.toBe(first);
  expect(given).toHaveBeenCalledTimes(2);
  for (const seed of [2, 3, 4]) await of(some, seed);
  expect(await of(some, 1)).toBe(first);
  for (const seed of [2, 3, 4, 5]) await of(some, seed);
  expect(given).toHaveBeenCalledTimes(6);
  // It takes no memory any more, and is the same again.
  const again = await of(some, 1);
  expect(again).not.toBe(first);
  expect(again).toEqual(first);
  await evaluator.release();
});
