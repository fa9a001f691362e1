import { expect, it } from 'vitest';
import { type Dataset, floatDataset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, parameterSet } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import { featuresOf } from './features.js';
import { type Features, frozenUse } from './frozen-use.js';

/** Points of a square, the class by whether both coordinates have the same sign: no line tells them apart. */
function corners(size: number, seed: number) {
  const inputs = new Float32Array(2 * size);
  new RandomStream(seed, 'corners').fillUniform(inputs, -1, 1);
  const labels = Int32Array.from({ length: size }, (_, i) => Number(inputs[2 * i] * inputs[2 * i + 1] > 0));
  return floatDataset({ name: 'corners', shape: [2], inputs, labels, classes: ['differ', 'same'] });
}

it('learns from few outputs what no linear classifier can, without a step, and says which penalty', async () => {
  const model = initializeModel('mlp', { input_shape: [2], num_labels: 2, hidden_sizes: [] }, 1);
  // Its outputs are its inputs.
  model.weights.get('fc1.weight')?.data.set([1, 0, 0, 1]);
  model.weights.get('fc1.bias')?.data.fill(0);
  const released = new Evaluator(model, { threads: 1 });
  const [train, test] = [corners(200, 1), corners(200, 2)];
  const known = new Map<Dataset, Promise<Features>>();
  const of = (dataset: Dataset) => {
    const computed = async () => {
      const values = await featuresOf(released, parameterSet(model.weights), dataset, 1024);
      return { views: [values], flops: 1000 };
    };
    const found = known.get(dataset) ?? computed();
    known.set(dataset, found);
    return found;
  };
  const features = { weightsOf: () => 'all', of };
  const options = { features, test, task: taskOf(model) };
  const heard: number[] = [];
  const found = await frozenUse(
    { ...options, train: () => train, target: 0.9, budget: { seeds: [1, 2] } },
    { onTrial: (_, index) => void heard.push(index) },
  );
  expect(heard).toEqual([0, 1]);
  for (const trial of found.trials) {
    expect(trial.score).toBeGreaterThan(0.9);
    expect(trial).toMatchObject({ cost: 0, evaluations: 0, end: 'target', learningRate: found.learningRate });
    // Features, then for each of 8 penalties at least one evaluation on each of 5 folds of 160 examples of 2 numbers, 2 answers.
    expect(trial.spent).toMatchObject({ steps: 0, samples: 200 });
    expect(trial.spent?.flops).toBeGreaterThan(1000 + 8 * 5 * 4 * 160 * 2 * 2);
    expect(trial.costFlops).toBe(trial.spent?.flops);
  }
  // Trials that are done are not done again.
  const [done] = found.trials;
  const resumed = await frozenUse(
    { ...options, train: () => train, target: 0.9, budget: { seeds: [1, 2] } },
    { finished: [done] },
  );
  expect(resumed).toEqual(found);
  expect(resumed.trials[0]).toBe(done);
  await released.release();
});
