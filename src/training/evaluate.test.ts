import { describe, expect, it } from 'vitest';
import { createDataset, floatDataset, TextExamples } from '../data/index.js';
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

it('compiles one program for each length that texts are padded to, and one for the last batch', async () => {
  const config = {
    vocab_size: 30,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 16,
  };
  const model = initializeModel('bert', { ...config, max_position_embeddings: 128, num_labels: 2 }, 1);
  // 65 to 96 tokens, all padded to 96, of which 4,096 tokens are 42 texts.
  const lengths = Array.from({ length: 100 }, (_, index) => 65 + (index % 32));
  const encodings = lengths.map((length) => ({
    ids: Array.from({ length }, (_, at) => at % 30),
    typeIds: new Array<number>(length).fill(0),
    mask: new Array<number>(length).fill(1),
  }));
  const labels = new Int32Array(lengths.length);
  const data = createDataset(new TextExamples(encodings, { padId: 0 }), { name: 'texts', labels, classes: ['a', 'b'] });
  const programs = new ProgramCache({ threads: 1 });
  const evaluator = new Evaluator(model, {}, { programs });
  const sizes: number[] = [];
  await evaluator.each(parameterSet(model.weights), data, ({ positions }) => sizes.push(positions.length));
  expect(sizes).toEqual([42, 42, 16]);
  await programs.release();
});

describe('several sets of weights', () => {
  const data = floatDataset({
    ...{ name: 'points', shape: [2], inputs: Float32Array.of(1, -2, 0.5, 3, -1, 1), labels: Int32Array.of(0, 2, 1) },
    classes: ['a', 'b', 'c'],
  });
  const model = initializeModel('mlp', { input_shape: [2], num_labels: 3, hidden_sizes: [64, 64] }, 1);
  const first = parameterSet(model.weights);
  const differing = (changed: string) =>
    new Map([...first].map(([name, values]) => [name, name === changed ? values.map((value) => -value) : values]));

  it('are measured as one by one', async () => {
    const evaluator = new Evaluator(model, { threads: 1 });
    const sets = [first, differing('fc3.weight'), differing('fc1.weight'), first];
    const alone = [];
    for (const params of sets) alone.push(await evaluator.evaluate(params, data));
    expect(await evaluator.evaluateAll(sets, data)).toEqual(alone);
    expect(new Set(alone.map(({ metrics: { loss } }) => loss)).size).toBe(3);
    expect(await evaluator.evaluateAll([first], data)).toEqual([alone[0]]);
    await evaluator.release();
  });

  it('share the layers before the first in which they differ', async () => {
    const flops = async (...sets: (typeof first)[]) => {
      const evaluator = new Evaluator(model, { threads: 1 });
      await evaluator.evaluateAll(sets, data);
      await evaluator.release();
      return evaluator.flops;
    };
    const one = await flops(first);
    expect(await flops(first, differing('fc3.weight'))).toBeLessThan(1.1 * one);
    expect(await flops(first, differing('fc1.weight'))).toBeGreaterThan(1.9 * one);
  });
});
