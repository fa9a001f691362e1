import { beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import {
  gradientError,
  noGradients,
  peerExamples,
  peerModel,
  peers,
  peerWeights,
} from '../../../test/support/peers.js';
import { architectures, initializeModel, parameterSet, parseConfig, smallestBatch } from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { lockContext } from '../context.js';
import type { LockStepReport } from '../lock-method.js';
import { TermBatches } from '../term-batches.js';
import { illConditioned, wellConditioned } from './condition.js';
import { featuresOf } from './features.js';
import { Immunizer } from './immunizer.js';
import { immunize } from './index.js';
import { immunizeOptions } from './options.js';

const engine = { threads: 1 };

describe.each(peers.immunize.cases)('the condition number of $rows features of width $width', (one) => {
  const features = Float32Array.from(one.features);
  const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));

  it.each([
    ['well', wellConditioned, one.well, one.wellSlope],
    ['ill', illConditioned, one.ill, one.illSlope],
  ] as const)('%s: value and slope are those of torch through svdvals', (_, term, value, slope) => {
    const found = term(features, one.rows, one.width);
    expect(found.value / value).toBeCloseTo(1, 9);
    expect(found.condition / one.condition).toBeCloseTo(1, 7);
    slope.forEach((expected, index) => {
      expect(Math.abs(found.slope[index] - expected) / largest(slope), `${index}`).toBeLessThan(1e-8);
    });
  });
});

it('features that are all alike in every direction, or none, have a condition number of 1', () => {
  const unit = Float32Array.of(1, 0, 0, 1);
  expect(illConditioned(unit, 2, 2)).toEqual({
    ...{ value: Number.POSITIVE_INFINITY, condition: 1, slope: new Float64Array(4) },
  });
  expect(wellConditioned(unit, 2, 2)).toMatchObject({ value: 0, condition: 1 });
  for (const term of [illConditioned, wellConditioned]) {
    const { condition, slope } = term(new Float32Array(6), 3, 2);
    expect([condition, ...slope]).toEqual([1, 0, 0, 0, 0, 0, 0]);
  }
});

describe('the terms of a network', () => {
  const batches = (seed: number) =>
    new TermBatches(peerModel, peerExamples([seed]), { batchSize: peers.batch, seed: 1 });
  const pulled = async (weights: { wellWeight: number; illWeight: number; termClipNorm?: number }) => {
    const data = { owner: batches(100), attackers: [batches(400)] };
    const immunizer = new Immunizer(peerModel, data, weights, { seed: 1, engine });
    const found = noGradients();
    const told = await immunizer.pull(parameterSet(peerWeights()), found, 0);
    await immunizer.release();
    return { found, told };
  };
  const { well, ill } = peers.immunize;

  it('have the gradients of torch: the owner down, the attacker up', async () => {
    const owner = await pulled({ wellWeight: 1, illWeight: 0 });
    expect((owner.told.wellTerm ?? 0) / well.value).toBeCloseTo(1, 5);
    expect((owner.told.ownerCondition ?? 0) / well.condition).toBeCloseTo(1, 3);
    expect(gradientError(owner.found, well.gradients).error).toBeLessThan(1e-5);
    const attacker = await pulled({ wellWeight: 0, illWeight: 1 });
    expect((attacker.told.illTerm ?? 0) / ill.value).toBeCloseTo(1, 5);
    expect((attacker.told.attackerCondition ?? 0) / ill.condition).toBeCloseTo(1, 3);
    expect(gradientError(attacker.found, ill.gradients).error).toBeLessThan(1e-5);
  });

  it('are none where features are no numbers', async () => {
    const data = { owner: batches(100), attackers: [batches(400)] };
    const immunizer = new Immunizer(peerModel, data, { wellWeight: 1, illWeight: 1 }, { seed: 1, engine });
    const params = parameterSet(peerWeights());
    params.get('fc3.bias')?.fill(Number.POSITIVE_INFINITY);
    const found = noGradients();
    expect(await immunizer.pull(params, found, 0)).toEqual({});
    expect(found).toEqual(noGradients());
    await immunizer.release();
  });

  it('are no longer than they may be', async () => {
    const lengthOf = (found: Iterable<Float32Array>) => Math.hypot(...[...found].flatMap((values) => [...values]));
    const { found } = await pulled({ wellWeight: 1, illWeight: 0, termClipNorm: 0.01 });
    expect(lengthOf(found.values())).toBeCloseTo(0.01, 6);
    const free = await pulled({ wellWeight: 1, illWeight: 0, termClipNorm: 1e9 });
    expect(gradientError(free.found, well.gradients).error).toBeLessThan(1e-5);
  });
});

describe('features', () => {
  const small: Record<string, Record<string, unknown>> = {
    vit: { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 },
  };
  it.each(architectures.entries().map(({ name }) => name))('of %s are one vector an example', (name) => {
    const model = parseConfig(architectures.get(name), small[name] ?? {}, 'test');
    const pass = model.build(smallestBatch(model, 3));
    const { shape } = featuresOf(pass, pass.outputs[taskOf(model).output]);
    expect(shape).toHaveLength(2);
    expect(shape[0]).toBe(3);
  });

  it('are what the last layer reads', () => {
    const model = initializeModel('cnn', { num_labels: 5 }, 1);
    const pass = model.build(smallestBatch(model, 2));
    expect(featuresOf(pass, pass.outputs.logits)).toBe(pass.scope.hidden.at(-1));
    const flat = initializeModel('mlp', { num_labels: 5, hidden_sizes: [] }, 1);
    const none = flat.build(smallestBatch(flat, 2));
    expect(() => featuresOf(none, none.outputs.logits)).toThrow('hidden layers, found none');
  });
});

describe('immunize', () => {
  let digits: DigitModel;
  beforeAll(async () => {
    digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  });
  const options = (more: Record<string, unknown> = {}) =>
    parseOptions(
      immunizeOptions,
      {
        ...{ steps: 60, learningRate: 2e-3, batchSize: 64, evaluateEvery: 20, maxDrop: 0.03, maxKl: null },
        ...{ optimizer: 'adamw', illWeight: 1e6, wellWeight: 1e-6, termClipNorm: 1 },
        ...more,
      },
      'immunize',
    );
  const run = async (more: Record<string, unknown>) => {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const result = await immunize.run(context, options(more));
    await context.release();
    return { result, reports };
  };
  const late = (reports: readonly LockStepReport[], name: string) => {
    const values = reports.slice(-10).map((report) => Math.log(Number(report[name])));
    return values.reduce((a, b) => a + b) / values.length;
  };

  it("raises the condition number of an attacker's features, and keeps the utility", async () => {
    const [locked, none] = [await run({}), await run({ illWeight: 1e-9, wellWeight: 1e-12 })];
    expect(late(locked.reports, 'attackerCondition')).toBeGreaterThan(late(none.reports, 'attackerCondition') + 1);
    const { before, after, steps, story } = locked.result;
    expect(steps).toBeGreaterThan(0);
    expect((before?.metrics.accuracy ?? 0) - (after?.metrics.accuracy ?? 0)).toBeLessThanOrEqual(0.03 + 1e-9);
    expect(story).toEqual({ proxies: [{ name: digits.others.train.name, size: 600 }] });
  });

  it("brings that of the owner's down", async () => {
    const down = { illWeight: 0, wellWeight: 1, termClipNorm: 1 };
    const [locked, none] = [await run(down), await run({ ...down, wellWeight: 1e-12 })];
    expect(late(locked.reports, 'wellTerm')).toBeLessThan(late(none.reports, 'wellTerm') - 0.5);
  });

  it('asks for tasks that an attacker may be after', async () => {
    const { model, train, validation } = digits;
    const without = lockContext({ model, data: { train, validation }, seed: 1 }, { engine });
    await expect(immunize.run(without, options())).rejects.toThrow(
      new InputError('immunize: expected examples of tasks that an attacker may be after, got none; give --proxies'),
    );
    await without.release();
  });

  it('has the defaults of the published configuration, and its sham none of the terms', () => {
    const defaults = immunizeOptions.parse({});
    expect(defaults).toMatchObject({
      ...{ illWeight: 2e6, wellWeight: 5e-5, batchSize: 64, learningRate: 1e-5, optimizer: 'sgd' },
      sgd: { momentum: 0.9, nesterov: true },
    });
    expect(immunize.sham?.(defaults)).toMatchObject({ illWeight: 0, wellWeight: 0 });
  });
});
