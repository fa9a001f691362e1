import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { floatDataset } from '../../data/index.js';
import { initializeModel, parameterSet } from '../../models/index.js';
import { checkpointToTensors, tensorsToCheckpoint } from '../checkpoint.js';
import { createObjective, type Objective } from '../index.js';
import { kfac, type LayerFactors, optimizers, type StepOracle } from './index.js';

interface Fixture {
  orderSeed: number;
  batchSize: number;
  cases: {
    architecture: string;
    config: Record<string, unknown>;
    options: Record<string, unknown>;
    learningRate: number;
    loss: { task: number; divergence: number };
    inputs: string;
    labels: number[];
    reference: string;
    params: Record<string, string>;
    steps: { loss: number; bound: number; params: Record<string, string> }[];
  }[];
}

const fixture: Fixture = JSON.parse(readFileSync(new URL('../../../test/fixtures/kfac.json', import.meta.url), 'utf8'));
const unpack = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

/** The model of a case at its start, and its loss. */
async function problemOf(row: Fixture['cases'][number], accumulate = 1) {
  const model = initializeModel(row.architecture, row.config, 1);
  const params = parameterSet(model.weights);
  for (const [name, values] of Object.entries(row.params)) params.get(name)?.set(unpack(values));
  const objective = await createObjective({
    model,
    dataset: floatDataset({
      name: 'fixture',
      shape: model.inputs.x.shape as number[],
      inputs: unpack(row.inputs),
      labels: Int32Array.from(row.labels),
      classes: ['a', 'b', 'c'],
    }),
    ...{ batchSize: fixture.batchSize, accumulate, seed: fixture.orderSeed, loss: row.loss },
    reference: { outputs: unpack(row.reference) },
    engine: { threads: 1 },
  });
  opened.push(objective);
  return { params, objective };
}

const opened: Objective[] = [];
afterAll(() => Promise.all(opened.map((objective) => objective.release())));

const oracleOf = async ({ params, objective }: Awaited<ReturnType<typeof problemOf>>) =>
  (await objective.compute(params, 0)).oracle as StepOracle;

describe('K-FAC equals its formulas in float64, step by step', () => {
  it.each(fixture.cases)('$architecture $options', async (row) => {
    const { params, objective } = await problemOf(row);
    let optimizer = optimizers.get('kfac').create(row.options);
    let state = optimizer.init(params, objective.shapes);
    const complaints: string[] = [];
    for (const [step, expected] of row.steps.entries()) {
      // A checkpoint in the middle changes nothing.
      if (step === 3) {
        const saved = checkpointToTensors({ step, params, optimizer: state, extra: {}, meta: {} });
        state = tensorsToCheckpoint(structuredClone(saved)).optimizer;
        optimizer = optimizers.get('kfac').create(row.options);
      }
      const { loss, gradients, oracle } = await objective.compute(params, step);
      expect(Math.abs(loss / expected.loss - 1), `loss of step ${step}`).toBeLessThan(1e-4);
      await optimizer.update(gradients, state, params, row.learningRate, oracle);
      for (const [name, values] of Object.entries(expected.params)) {
        complaints.push(...outOfTolerance(`step ${step}: ${name}`, params.get(name) ?? [], unpack(values), 1e-4));
      }
    }
    expect(complaints).toEqual([]);
    expect(row.steps.length).toBeGreaterThan(4);
  });

  it('with a bound on the step that binds in some cases, and not in others', () => {
    const bounds = fixture.cases.flatMap(({ steps }) => steps.map(({ bound }) => bound));
    expect(bounds.filter((bound) => bound < 1).length).toBeGreaterThan(5);
    expect(bounds.filter((bound) => bound === 1).length).toBeGreaterThan(5);
  });
});

describe('the factors of layers', () => {
  const cnn = fixture.cases.find(({ architecture }) => architecture === 'cnn') as Fixture['cases'][number];
  const given = { labels: 'given', seed: 0, longest: 100 } as const;
  const valuesOf = (factors: readonly LayerFactors[]) =>
    factors.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);

  it('of a batch in parts are those of the whole', async () => {
    const whole = await oracleOf(await problemOf(cnn));
    const parts = await oracleOf(await problemOf(cnn, 2));
    const found = await whole.kroneckerFactors(given);
    expect(found.map(({ weight, bias }) => [weight, bias])).toEqual(
      ['conv1', 'conv2', 'fc1', 'fc2', 'fc3', 'fc4'].map((name) => [`${name}.weight`, `${name}.bias`]),
    );
    expect(outOfTolerance('factors', valuesOf(await parts.kroneckerFactors(given)), valuesOf(found), 1e-4)).toEqual([]);
    // One evaluation before, and what the factors cost.
    expect(whole.evaluations).toBeCloseTo(1 + 5 / 3, 12);
    expect(parts.evaluations).toBeCloseTo(1 + 5 / 3, 12);
  });

  it('are of answers drawn by the seed, or of those given', async () => {
    const oracle = await oracleOf(await problemOf(cnn));
    const drawn = async (seed: number) =>
      valuesOf(await oracle.kroneckerFactors({ labels: 'drawn', seed, longest: 100 }));
    const first = await drawn(1);
    expect(oracle.evaluations).toBeCloseTo(1 + 1 / 3 + 5 / 3, 12);
    expect(await drawn(1)).toEqual(first);
    expect(await drawn(2)).not.toEqual(first);
    expect(valuesOf(await oracle.kroneckerFactors(given))).not.toEqual(first);
  });

  it('draws answers as often as the model predicts them', async () => {
    // Of the last layer the factor is the mean of (p − e)(p − e)ᵀ, whose expectation is diag(p) − p pᵀ: its trace is that of p(1 − p).
    const oracle = await oracleOf(await problemOf({ ...cnn, loss: { task: 1, divergence: 0 } }));
    const traces: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const { outputs } = (await oracle.kroneckerFactors({ labels: 'drawn', seed, longest: 0 })).at(-1) as LayerFactors;
      traces.push(outputs.reduce((sum, value) => sum + value, 0));
    }
    const mean = traces.reduce((sum, value) => sum + value, 0) / traces.length;
    const unit = new Map(
      Array.from((await problemOf(cnn)).params, ([name, { length }]) => [name, new Float32Array(length)]),
    );
    // The trace over the last biases of the Gauss-Newton matrix.
    let expected = 0;
    for (let at = 0; at < 3; at++) {
      unit.set(
        'fc4.bias',
        Float32Array.from({ length: 3 }, (_, i) => Number(i === at)),
      );
      expected += (await oracle.gaussNewtonProduct(unit)).get('fc4.bias')?.[at] ?? 0;
    }
    expect(Math.abs(mean / expected - 1)).toBeLessThan(0.1);
  });
});

it('moves what is in no layer along its plain gradient, and says NaN where factors are none', async () => {
  const params = new Map([
    ['layer.weight', Float32Array.of(1, 2, 3, 4)],
    ['norm.weight', Float32Array.of(1, 1)],
  ]);
  const shapes = new Map([
    ['layer.weight', [2, 2]],
    ['norm.weight', [2]],
  ]);
  const grads = new Map([
    ['layer.weight', Float32Array.of(1, 0, 0, 1)],
    ['norm.weight', Float32Array.of(1, -1)],
  ]);
  const factors: LayerFactors = {
    ...{ weight: 'layer.weight', isTransposed: false },
    ...{ inputs: Float32Array.of(1, 0, 0, 1), outputs: Float32Array.of(1, 0, 0, 1) },
  };
  const oracle = (found: LayerFactors) => ({ kroneckerFactors: async () => [found] }) as unknown as StepOracle;
  const optimizer = kfac({ damping: 1, klClip: 0, momentum: 0 });
  await optimizer.update(grads, optimizer.init(params, shapes), params, 0.1, oracle(factors));
  // Both factors are 1 and damped by 1.
  expect([...(params.get('layer.weight') ?? [])]).toEqual([0.975, 2, 3, 3.975].map(Math.fround));
  expect([...(params.get('norm.weight') ?? [])]).toEqual([0.9, 1.1].map(Math.fround));
  const broken = { ...factors, inputs: Float32Array.of(1, 0, 0, Number.POSITIVE_INFINITY) };
  await optimizer.update(grads, optimizer.init(params, shapes), params, 0.1, oracle(broken));
  expect(params.get('layer.weight')?.every(Number.isNaN)).toBe(true);
});
