import { expect, it } from 'vitest';
import { floatDataset } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { initializeModel, parameterSet } from '../models/index.js';
import type { Outputs } from '../tasks/index.js';
import { Evaluator } from './index.js';

it('evaluators that share their programs say the same, whoever compiled one', async () => {
  const model = initializeModel('mlp', { input_shape: [2], num_labels: 3, hidden_sizes: [4] }, 1);
  const inputs = Float32Array.of(1, -2, 0.5, 3);
  const data = floatDataset({
    ...{ name: 'points', shape: [2], inputs, labels: Int32Array.of(0, 2) },
    classes: ['a', 'b', 'c'],
  });
  const programs = new ProgramCache({ threads: 1 });
  const said = async () => {
    const evaluator = new Evaluator(model, {}, { programs });
    const found: Pick<Outputs, 'values' | 'shape'>[] = [];
    await evaluator.each(parameterSet(model.weights), data, ({ values, shape }) => {
      found.push({ values: values.slice(), shape });
    });
    return { found, evaluation: await evaluator.evaluate(parameterSet(model.weights), data) };
  };
  const first = await said();
  expect(first.found.map(({ shape }) => shape)).toEqual([[2, 3]]);
  expect(await said()).toEqual(first);
  await programs.release();
});
