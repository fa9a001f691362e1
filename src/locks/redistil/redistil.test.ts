import { beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { cloneWeights, initializeModel, parameterSet, type StateDict } from '../../models/index.js';
import { parseOptions } from '../../registry/index.js';
import { Evaluator } from '../../training/index.js';
import { lockContext } from '../context.js';
import type { LockStepReport } from '../lock-method.js';
import { drawsOf } from '../secret.js';
import { MidpointBarrier } from './barrier.js';
import { redistil } from './index.js';
import { mixWithFresh } from './mix.js';

let digits: DigitModel;
beforeAll(async () => {
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
});

const everything = { include: ['*'], exclude: [] };
const lengthOf = (values: Float32Array = new Float32Array()) => Math.hypot(...values);
const cosine = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0) / (lengthOf(a) * lengthOf(b));

describe('mixing weights with a fresh initialization', () => {
  it('keeps their length and a share of their direction: 1 − a beside a, since both are unrelated', () => {
    const weights = cloneWeights(digits.model.weights);
    mixWithFresh(digits.model, weights, { a: 0.6, draws: drawsOf(3), ...everything });
    const [before, after] = [digits.model.weights, weights].map(
      (of) => of.get('fc1.weight')?.data ?? new Float32Array(),
    );
    // Of 18,816 numbers, unrelated directions have a cosine of 0 with a deviation of 0.007.
    const mixed = Math.hypot(0.4, 0.6);
    expect(Math.abs(lengthOf(after) / lengthOf(before) - mixed)).toBeLessThan(0.02);
    expect(Math.abs(cosine(after, before) - 0.4 / mixed)).toBeLessThan(0.02);
  });

  it('is from scratch at 1 and nothing at 0, and no seed gives what a model of that seed began with', () => {
    const fresh = initializeModel('mlp', { num_labels: 6, hidden_sizes: [24, 16] }, 7);
    const [scratch, same] = [cloneWeights(digits.model.weights), cloneWeights(digits.model.weights)];
    mixWithFresh(digits.model, scratch, { a: 1, draws: drawsOf(7), ...everything });
    mixWithFresh(digits.model, same, { a: 0, draws: drawsOf(7), ...everything });
    expect(same).toEqual(digits.model.weights);
    const of = (weights: StateDict, name: string) => weights.get(name)?.data ?? new Float32Array();
    expect(Math.abs(cosine(of(scratch, 'fc1.weight'), of(digits.model.weights, 'fc1.weight')))).toBeLessThan(0.03);
    expect(Math.abs(cosine(of(scratch, 'fc1.weight'), of(fresh.weights, 'fc1.weight')))).toBeLessThan(0.03);
  });

  it('mixes with other numbers each time unless a secret says which', async () => {
    const mixed = async (secret?: string) => {
      const weights = cloneWeights(digits.model.weights);
      const context = lockContext({ model: digits.model, data: {}, seed: 1, ...(secret && { secret }) });
      mixWithFresh(digits.model, weights, { a: 1, draws: await context.draws(), ...everything });
      return weights.get('fc1.weight')?.data ?? new Float32Array();
    };
    const [one, other, known, again] = [await mixed(), await mixed(), await mixed('ab'), await mixed('ab')];
    expect(Math.abs(cosine(one, other))).toBeLessThan(0.03);
    expect(again).toEqual(known);
    // Nor by the seed of the lock.
    const guessed = cloneWeights(digits.model.weights);
    mixWithFresh(digits.model, guessed, { a: 1, draws: drawsOf(1), ...everything });
    expect(Math.abs(cosine(one, guessed.get('fc1.weight')?.data ?? one))).toBeLessThan(0.03);
  });

  it('leaves alone what a pattern excludes', () => {
    const weights = cloneWeights(digits.model.weights);
    mixWithFresh(digits.model, weights, { a: 0.6, draws: drawsOf(3), include: ['*'], exclude: ['fc3*'] });
    expect(weights.get('fc3.weight')).toEqual(digits.model.weights.get('fc3.weight'));
    expect(weights.get('fc2.weight')).not.toEqual(digits.model.weights.get('fc2.weight'));
  });
});

describe('redistil', () => {
  const run = async (more: Record<string, unknown>) => {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const options = parseOptions(
      redistil.options,
      { batchSize: 32, evaluateEvery: 10, maxDrop: 0.01, maxKl: 0.1, learningRate: 3e-3, ...more },
      'redistil',
    );
    const result = await redistil.run(context, options);
    await context.release();
    return { result, reports, params: context.params };
  };
  const lengthsApart = (story: unknown) => Object.values((story as { distance: Record<string, number> }).distance);

  it('brings the authorized behaviour back within the budget and ends there, far from the original', async () => {
    const { result, reports } = await run({ a: 0.7, steps: 600, settle: 2 });
    expect(reports[9].utility).toMatchObject({ n: 300 });
    const drop = (result.before?.metrics.accuracy ?? 0) - (result.after?.metrics.accuracy ?? 0);
    expect(drop).toBeLessThanOrEqual(0.01 + 1e-9);
    expect(result.after?.metrics.kl).toBeLessThanOrEqual(0.1);
    // It began outside, and ended with the second check in a row within.
    const firstCheck = (reports[9].utility as { metrics: Record<string, number> }).metrics;
    expect(firstCheck.kl).toBeGreaterThan(0.1);
    expect(result.steps).toBe(result.stepsTried);
    expect(result.steps).toBeLessThan(600);
    expect(result.stoppedByBudget).toBe(false);
    for (const apart of lengthsApart(result.story)) expect(apart).toBeGreaterThan(0.5);
  });

  it('moves further from the original the harder it is pushed', async () => {
    const course = { a: 0, steps: 60, settle: 0, maxKl: null, maxDrop: 1 };
    const [free, pushed] = [await run(course), await run({ ...course, push: 1 })];
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(lengthsApart(pushed.result.story))).toBeGreaterThan(2 * mean(lengthsApart(free.result.story)));
    // What it reports is the mean distance of the step before.
    expect(pushed.reports[0].distance).toBe(0);
    expect(pushed.reports[59].distance).toBeGreaterThan(Number(pushed.reports[10].distance));
    expect(pushed.params.get('fc1.weight')).not.toEqual(parameterSet(digits.model.weights).get('fc1.weight'));
  });

  it('keeps the model half way to the original from being of use where a barrier is asked for, and stays within the budget', async () => {
    const course = { a: 0.4, steps: 150, settle: 0 };
    const between = async (barrier: Record<string, unknown>) => {
      const { result, params, reports } = await run({ ...course, barrier });
      const original = parameterSet(digits.model.weights);
      const middle = new Map(
        [...params].map(([name, values]) => [
          name,
          values.map((value, i) => (value + (original.get(name)?.[i] ?? 0)) / 2),
        ]),
      );
      const evaluator = new Evaluator(digits.model, { threads: 1 });
      try {
        const { metrics } = await evaluator.evaluate(middle, digits.validation);
        return { accuracy: metrics.accuracy, result, first: reports[0].midpointLoss };
      } finally {
        await evaluator.release();
      }
    };
    const [free, barred] = [await between({}), await between({ weight: 1, bound: 2 })];
    for (const { result } of [free, barred]) {
      expect((result.before?.metrics.accuracy ?? 0) - (result.after?.metrics.accuracy ?? 0)).toBeLessThanOrEqual(
        0.01 + 1e-9,
      );
    }
    expect(free.first).toBeUndefined();
    expect(barred.first).toBeGreaterThan(0);
    expect(free.accuracy).toBeGreaterThan(0.9);
    expect(barred.accuracy).toBeLessThan(0.75);
  });

  it('descends the barrier: its slope is that of the term by differences', async () => {
    const context = contextOn(digits);
    const options = parseOptions(redistil.options, { batchSize: 32, barrier: { weight: 3, bound: 2 } }, 'redistil');
    const original = parameterSet(digits.model.weights);
    const barrier = await MidpointBarrier.open(context, original, { ...options, examples: await context.train() });
    const at = (by: number) =>
      new Map(
        [...original].map(([name, values], k) => [
          name,
          values.map(
            (value, i) => value + 0.1 * Math.sin(1 + k + 1.7 * i) + (name === 'fc2.weight' ? by * Math.cos(i) : 0),
          ),
        ]),
      );
    const found = new Map([...original].map(([name, values]) => [name, new Float32Array(values.length)]));
    const { midpointLoss } = await barrier.add(at(0), found, 4);
    const term = async (by: number) => {
      const none = new Map([...original].map(([name, values]) => [name, new Float32Array(values.length)]));
      const loss = (await barrier.add(at(by), none, 4)).midpointLoss;
      return 3 * 0.5 * 2 * (1 - loss / 2) ** 2;
    };
    const h = 2e-3;
    const slope = ((await term(h)) - (await term(-h))) / (2 * h);
    await barrier.release();
    await context.release();
    expect(midpointLoss).toBeGreaterThan(0);
    expect(midpointLoss).toBeLessThan(2);
    const along = (found.get('fc2.weight') ?? new Float32Array()).reduce(
      (sum, value, i) => sum + value * Math.cos(i),
      0,
    );
    expect(Math.abs(slope)).toBeGreaterThan(1e-3);
    expect(Math.abs(along / slope - 1)).toBeLessThan(0.01);
  });
});
