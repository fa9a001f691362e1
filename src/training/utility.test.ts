import { expect, it } from 'vitest';
import { dataSpec, loadData } from '../data/index.js';
import { cloneWeights, initializeModel, parameterSet } from '../models/index.js';
import { Evaluator, utilityByType } from './index.js';

it('utilityByType shows what accuracy in float32 hides: logits beyond float16 are lost there, and only there', async () => {
  const model = initializeModel('cnn', { num_labels: 2 }, 1);
  const { test } = await loadData(dataSpec.parse({ classes: [0, 1] }));
  const evaluator = new Evaluator(model, { threads: 1 });
  const original = { outputs: await evaluator.outputs(parameterSet(model.weights), test) };
  const weights = cloneWeights(model.weights);
  // The same decisions with a hundred million times the logits.
  for (const name of ['fc4.weight', 'fc4.bias']) {
    weights.get(name)?.data.forEach((value, index, data) => {
      data[index] = value * 1e8;
    });
  }
  const found = await utilityByType(evaluator, parameterSet(weights), test, original);
  await evaluator.release();
  expect(found.float32.metrics.agreement).toBe(1);
  expect(found.float32.metrics.notFinite).toBe(0);
  expect(found.float32.metrics.kl ?? 0).toBeGreaterThan(1);
  expect(found.float16.metrics.notFinite).toBe(1);
  expect(found.float16.metrics.accuracy).toBe(0);
  expect(found.bfloat16.metrics.notFinite).toBe(0);
  expect(found.bfloat16.metrics.kl).not.toBe(found.float32.metrics.kl);
  expect(found.bfloat16.metrics.agreement).toBeGreaterThan(0.9);
});
