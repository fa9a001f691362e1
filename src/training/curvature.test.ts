import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { floatDataset } from '../data/index.js';
import { initializeModel, type Model, parameterSet } from '../models/index.js';
import { createObjective, type Objective, type ObjectiveOptions, optimizers, type StepOracle } from './index.js';

type Packed = Record<string, string>;

interface Fixture {
  config: Record<string, unknown>;
  weights: { task: number; kl: number };
  inputs: string;
  labels: number[];
  reference: string;
  params: Packed;
  v: Packed;
  loss: number;
  hessianProduct: Packed;
  gaussNewtonProduct: Packed;
  naturalGradient: { damping: number; learningRate: number; steps: { loss: number; params: Packed }[] };
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/curvature.json', import.meta.url), 'utf8'),
);
const unpack = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
const unpacked = (packed: Packed) => new Map(Object.entries(packed).map(([name, values]) => [name, unpack(values)]));

/** A line for each tensor that is further from the expected one than the tolerance, relative to its elements. */
function complaints(found: ReadonlyMap<string, Float32Array>, expected: Packed, tolerance: number): string[] {
  return Object.entries(expected).flatMap(([name, values]) =>
    outOfTolerance(name, found.get(name) ?? [], unpack(values), tolerance),
  );
}

const model: Model = initializeModel('cnn', fixture.config, 1);
const params = parameterSet(model.weights);
let objective: Objective;
const source: ObjectiveOptions = {
  model,
  // Batches are shuffled; the reference logits follow.
  dataset: floatDataset({
    name: 'fixture',
    shape: [1, 16, 16],
    inputs: unpack(fixture.inputs),
    labels: Int32Array.from(fixture.labels),
    classes: ['a', 'b', 'c'],
  }),
  batchSize: fixture.labels.length,
  seed: 4,
  loss: { task: fixture.weights.task, divergence: fixture.weights.kl },
  reference: { outputs: unpack(fixture.reference) },
  engine: { threads: 1 },
};
beforeAll(async () => {
  objective = await createObjective(source);
});
afterAll(() => objective.release());

async function oracleAt(start: Packed): Promise<StepOracle> {
  for (const [name, values] of unpacked(start)) params.get(name)?.set(values);
  const { oracle } = await objective.compute(params, 0);
  if (!oracle) throw new Error('expected a classifier to answer questions');
  return oracle;
}

describe('curvature of a small CNN equals dense matrices of PyTorch', () => {
  it('products with the Hessian and with its Gauss-Newton part', async () => {
    const oracle = await oracleAt(fixture.params);
    const v = unpacked(fixture.v);
    expect(Math.abs(oracle.loss - fixture.loss)).toBeLessThan(1e-6);
    expect(complaints(await oracle.hessianProduct(v), fixture.hessianProduct, 1e-5)).toEqual([]);
    expect(complaints(await oracle.gaussNewtonProduct(v), fixture.gaussNewtonProduct, 1e-5)).toEqual([]);
    // They differ, or one test would do.
    expect(complaints(await oracle.gaussNewtonProduct(v), fixture.hessianProduct, 1e-2)).not.toEqual([]);
    expect(oracle.evaluations).toBe(1 + 3 * 2);
  });

  it('the loss without gradients, for a third of an evaluation', async () => {
    const oracle = await oracleAt(fixture.params);
    const { loss, oracle: forward, gradients } = await objective.compute(params, 0, { withoutGradients: true });
    expect([...gradients.keys()].sort()).toEqual(Object.keys(fixture.params).sort());
    for (const [name, zeros] of gradients) expect(zeros).toEqual(new Float32Array(params.get(name)?.length ?? 0));
    expect(Math.abs(loss - fixture.loss)).toBeLessThan(1e-6);
    expect(forward?.evaluations).toBeCloseTo(1 / 3, 12);
    expect(await oracle.lossAlone()).toBe(loss);
    expect(oracle.evaluations).toBeCloseTo(4 / 3, 12);
    const [moved] = fixture.naturalGradient.steps;
    for (const [name, values] of unpacked(moved.params)) params.get(name)?.set(values);
    expect(Math.abs((await oracle.lossAlone()) - moved.loss)).toBeLessThan(1e-6);
  });

  it('of a batch computed in parts, for the cost of the whole', async () => {
    const inParts = await createObjective({ ...source, accumulate: 3 });
    for (const [name, values] of unpacked(fixture.params)) params.get(name)?.set(values);
    const { oracle } = await inParts.compute(params, 0);
    if (!oracle) throw new Error('expected a batch in parts to answer questions');
    const v = unpacked(fixture.v);
    expect(complaints(await oracle.hessianProduct(v), fixture.hessianProduct, 1e-5)).toEqual([]);
    expect(complaints(await oracle.gaussNewtonProduct(v), fixture.gaussNewtonProduct, 1e-5)).toEqual([]);
    expect(oracle.evaluations).toBeCloseTo(1 + 2 * 2, 12);
    const [moved] = fixture.naturalGradient.steps;
    for (const [name, values] of unpacked(moved.params)) params.get(name)?.set(values);
    expect(Math.abs((await oracle.lossAlone()) - moved.loss)).toBeLessThan(1e-6);
    expect(Math.abs((await oracle.evaluate()).loss - moved.loss)).toBeLessThan(1e-6);
    expect(Math.abs(oracle.loss - fixture.loss)).toBeLessThan(1e-6);
    expect(oracle.evaluations).toBeCloseTo(1 + 2 * 2 + 1 / 3 + 1, 12);
    await inParts.release();
  });

  it('answers for the parameters as they are', async () => {
    const oracle = await oracleAt(fixture.params);
    const [moved] = fixture.naturalGradient.steps;
    for (const [name, values] of unpacked(moved.params)) params.get(name)?.set(values);
    expect(Math.abs((await oracle.evaluate()).loss - moved.loss)).toBeLessThan(1e-6);
    expect(Math.abs(oracle.loss - fixture.loss)).toBeLessThan(1e-6);
    expect(oracle.evaluations).toBe(2);
  });

  it('natural gradient steps', async () => {
    await oracleAt(fixture.params);
    const { damping, learningRate, steps } = fixture.naturalGradient;
    const optimizer = optimizers.get('natural-gradient').create({ damping, maxIterations: 100, tolerance: 1e-6 });
    const state = optimizer.init(params);
    expect(steps.length).toBeGreaterThan(1);
    for (const [step, expected] of steps.entries()) {
      const { gradients, oracle } = await objective.compute(params, step);
      await optimizer.update(gradients, state, params, learningRate, oracle);
      expect(complaints(params, expected.params, 1e-5), `step ${step}`).toEqual([]);
    }
  });
});
