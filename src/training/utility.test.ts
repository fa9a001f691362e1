import { describe, expect, it } from 'vitest';
import { readFixture } from '../../test/support/fixtures.js';
import { dataSpec, loadData } from '../data/index.js';
import { cloneWeights, initializeModel, parameterSet } from '../models/index.js';
import { Evaluator, judge, utilityByType } from './index.js';

interface Case {
  name: string;
  labels: number[];
  logits: number[];
  original: number[];
  accuracy: number;
  loss: number;
  ece: number;
  agreement: number;
  kl: number;
  range: [number, number];
}

const { cases } = readFixture<{ cases: Case[] }>('utility.json');

describe('judge', () => {
  it.each(cases.map((each) => [each.name, each] as const))('agrees with torch and torchmetrics: %s', (_, each) => {
    const found = judge(Float32Array.from(each.logits), Float32Array.from(each.original), Int32Array.from(each.labels));
    for (const key of ['accuracy', 'loss', 'ece', 'agreement', 'kl'] as const) {
      expect(Math.abs((found[key] ?? Number.NaN) - each[key]), key).toBeLessThan(1e-6 * (1 + each[key]));
    }
    expect(found.logits).toEqual(each.range);
    expect([found.n, found.notFinite]).toEqual([each.labels.length, 0]);
  });

  it('counts what is not finite as wrong, and judges the rest', () => {
    const logits = Float32Array.from([2, 1, Number.POSITIVE_INFINITY, 0, Number.NaN, 3, 0, 1]);
    const original = Float32Array.from([2, 1, 2, 0, 1, 3, 0, 1]);
    const found = judge(logits, original, Int32Array.from([0, 0, 1, 1]));
    expect(found).toMatchObject({ accuracy: 0.5, agreement: 0.5, notFinite: 0.5, logits: [0, 2], kl: 0 });
    expect(found.loss).toBeCloseTo(Math.log(1 + Math.exp(-1)), 6);
    const none = judge(new Float32Array(4).fill(Number.NaN), original.slice(0, 4), Int32Array.from([0, 1]));
    expect(none).toMatchObject({ accuracy: 0, loss: null, ece: null, kl: null, logits: null, notFinite: 1 });
    expect(JSON.parse(JSON.stringify(none))).toEqual(none);
  });
});

it('utilityByType shows what accuracy in float32 hides: logits beyond float16 are lost there, and only there', async () => {
  const model = initializeModel('cnn', { num_labels: 2 }, 1);
  const { test } = await loadData(dataSpec.parse({ classes: [0, 1] }));
  const evaluator = new Evaluator(model, { threads: 1 });
  const original = await evaluator.logits(parameterSet(model.weights), test);
  const weights = cloneWeights(model.weights);
  // The same decisions with a hundred million times the logits.
  for (const name of ['fc4.weight', 'fc4.bias']) {
    weights.get(name)?.data.forEach((value, index, data) => {
      data[index] = value * 1e8;
    });
  }
  const found = await utilityByType(evaluator, parameterSet(weights), test, original);
  await evaluator.release();
  expect(found.float32.agreement).toBe(1);
  expect(found.float32.notFinite).toBe(0);
  expect(found.float32.kl ?? 0).toBeGreaterThan(1);
  expect(found.float16.notFinite).toBe(1);
  expect(found.float16.accuracy).toBe(0);
  expect(found.bfloat16.notFinite).toBe(0);
  expect(found.bfloat16.kl).not.toBe(found.float32.kl);
  expect(found.bfloat16.agreement).toBeGreaterThan(0.9);
});
