import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabelledDataset, loadDigits, selectClasses, splitTrainTest, subset } from '../../data/index.js';
import type { FlopTally } from '../../engine/index.js';
import { svd } from '../../linalg/index.js';
import { initializeModel, type Model, parameterSet } from '../../models/index.js';
import { InputError, InterruptedError, parseOptions } from '../../registry/index.js';
import { createObjective, Evaluator, optimizers, type ParameterSet, runSteps } from '../../training/index.js';
import { lockContext, type OpenLockContext } from '../context.js';
import type { LockContext, LockStepReport } from '../lock-method.js';
import { specdef } from './index.js';
import { type SpecDefOptions, specDefOptions } from './options.js';

const engine = { threads: 1 };
let folder: string;
let train: LabelledDataset;
let validation: LabelledDataset;
let model: Model;
/** Weights that read three digits well, with room to fall. */
let trained: ParameterSet;
const opened: OpenLockContext[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-specdef-'));
  const digits = selectClasses(await loadDigits(), [0, 1, 2]);
  const parts = splitTrainTest(digits, 0.2, 3);
  train = subset(
    parts.train,
    Uint32Array.from({ length: 400 }, (_, index) => index),
  );
  validation = subset(
    parts.test,
    Uint32Array.from({ length: 200 }, (_, index) => index),
  );
  model = initializeModel('mlp', { num_labels: 3, hidden_sizes: [24, 16] }, 5);
  const params = parameterSet(model.weights);
  const objective = await createObjective({ model, dataset: train, batchSize: 32, seed: 1, engine });
  await runSteps({
    params,
    compute: (current, step) => objective.compute(current, step),
    optimizer: optimizers.get('adamw').create(),
    learningRate: 2e-3,
    steps: 60,
  });
  await objective.release();
  trained = copyOf(params);
});

afterAll(async () => {
  for (const context of opened) await context.release();
  await rm(folder, { recursive: true, force: true });
});

function copyOf(params: ParameterSet): Map<string, Float32Array> {
  return new Map([...params].map(([name, values]) => [name, values.slice()]));
}

/** The context of a lock on a copy of the trained weights, and these by name. */
function contextOf(
  more: Pick<LockContext, 'checkpoint' | 'signal' | 'onStep'> & Pick<Model, 'stored'> = {},
): LockContext & { params: ParameterSet; tally: FlopTally } {
  const params = copyOf(trained);
  const weights = new Map(
    [...model.weights].map(([name, { shape, data }]) => [name, { shape, data: params.get(name) ?? data }]),
  );
  const { stored, ...rest } = more;
  const context = lockContext(
    { model: { ...model, weights, stored }, data: { train, validation }, seed: 11 },
    { engine, ...rest },
  );
  opened.push(context);
  return { ...context, params };
}

function optionsOf(options: Partial<SpecDefOptions>): SpecDefOptions {
  return specDefOptions.parse({
    batchSize: 32,
    patience: 1,
    lead: { share: 0 },
    alpha: 0.1,
    retain: { task: 1, kl: 0 },
    maxKl: null,
    ...options,
  });
}

/** The largest singular values of a report. */
function sigmaOf({ sigma }: LockStepReport): Record<string, number> {
  return sigma as Record<string, number>;
}

/** Names of the parameters whose bits differ. */
function differing(a: ParameterSet, b: ParameterSet): string[] {
  const bits = (values: Float32Array | undefined) =>
    values ? Buffer.from(values.buffer, values.byteOffset, values.byteLength) : Buffer.alloc(0);
  return [...a.keys()].filter((name) => !bits(a.get(name)).equals(bits(b.get(name))));
}

describe('specdef', () => {
  it.each(['lbfgs', 'natural-gradient', 'psgd-kron', 'psgd-xmat', 'kfac'])(
    'refuses %s: the push is no part of the graph that it would ask for more than the gradient',
    (optimizer) => {
      expect(() => parseOptions(specDefOptions, { optimizer }, 'specdef')).toThrow(
        /^specdef\.optimizer: expected one of sgd, adam, /,
      );
      expect(() => parseOptions(specDefOptions, { optimizer }, 'specdef')).toThrow(InputError);
    },
  );

  it('raises the largest singular values, keeps the utility, and reports both', async () => {
    const context = contextOf();
    const reports: LockStepReport[] = [];
    const result = await specdef.run(
      { ...context, onStep: (report) => reports.push(report) },
      optionsOf({ steps: 30, topK: 2, evaluateEvery: 20, maxDrop: 0.1 }),
    );
    expect(result).toMatchObject({ steps: 30, stepsTried: 30, stoppedByBudget: false });
    expect(result.before.n).toBe(validation.size);
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    expect(reports.filter(({ utility }) => utility).map(({ step }) => step)).toEqual([20, 30]);
    expect(reports[29].utility).toEqual(result.after);
    const evaluator = new Evaluator(model, engine);
    const own = await evaluator.evaluate(context.params, validation);
    expect(own.n).toBe(200);
    for (const name of ['accuracy', 'recall.0', 'f1.2']) expect(result.after.metrics[name]).toBe(own.metrics[name]);
    expect(result.after.metrics.loss).toBeCloseTo(own.metrics.loss ?? Number.NaN, 5);
    await evaluator.release();

    // The reported σ are those of the weights before the update: the first step's of the trained weights.
    const all: number[] = [];
    for (const [name, largest] of Object.entries(sigmaOf(reports[0]))) {
      const { shape } = model.weights.get(name) ?? { shape: [] };
      const weight = (params: ParameterSet) => svd(params.get(name) ?? new Float32Array(), shape[0], shape[1]).sigma;
      const start = weight(trained);
      expect(Math.abs(largest / start[0] - 1), name).toBeLessThan(1e-6);
      for (const index of [0, 1]) {
        expect(weight(context.params)[index], `${name} σ${index + 1}`).toBeGreaterThan(1.05 * start[index]);
        all.push(start[index]);
      }
    }
    const { loss, retainLoss, meanSigma } = reports[0] as Record<string, number>;
    expect(meanSigma / (all.reduce((a, b) => a + b, 0) / all.length) - 1).toBeCloseTo(0, 6);
    expect(loss).toBeCloseTo(0.1 * retainLoss - 0.9 * meanSigma, 12);
    expect(specdef.glance(reports[0])).toBe(`mean σ ${meanSigma.toFixed(1)}`);
  });

  it('leaves matrices alone that a pattern excludes from the lock, but for the retain loss', async () => {
    const reports: LockStepReport[] = [];
    await specdef.run(
      { ...contextOf(), onStep: (report) => reports.push(report) },
      optionsOf({ steps: 1, include: ['fc*'], exclude: ['fc1*'] }),
    );
    expect(Object.keys(sigmaOf(reports[0]))).toEqual(['fc2.weight', 'fc3.weight']);
  });

  it('goes back to the last weights above the utility floor, bit for bit', async () => {
    // A rate at which the lock destroys the function within a few checks.
    const options = optionsOf({
      steps: 400,
      learningRate: 0.02,
      alpha: 0,
      evaluateEvery: 2,
      maxDrop: 0.02,
      patience: 2,
    });
    const context = contextOf();
    const seen = new Map<number, Map<string, Float32Array>>();
    const result = await specdef.run(
      { ...context, onStep: ({ step }) => seen.set(step, copyOf(context.params)) },
      options,
    );
    expect(result.stoppedByBudget).toBe(true);
    expect(result.steps).toBeGreaterThan(0);
    // Two checks below the floor, two steps apart.
    expect(result.stepsTried).toBe(result.steps + 4);
    expect(differing(context.params, seen.get(result.steps) ?? new Map())).toEqual([]);
    expect(differing(context.params, seen.get(result.stepsTried) ?? new Map())).not.toEqual([]);
    expect(result.after.metrics.accuracy).toBeGreaterThanOrEqual((result.before.metrics.accuracy ?? 1) - 0.02);
  });

  it('holds its budget on the probabilities too, where accuracy alone would let it go on', async () => {
    const options = { steps: 100, learningRate: 1e-3, alpha: 0.1, evaluateEvery: 1, maxDrop: 1, patience: 1 };
    const run = async (maxKl: number | null) => {
      const context = contextOf();
      return { params: context.params, result: await specdef.run(context, optionsOf({ ...options, maxKl })) };
    };
    const free = await run(null);
    expect(free.result).toMatchObject({ steps: 100, stoppedByBudget: false });
    expect(free.result.after.metrics.kl).toBeGreaterThan(0.01);
    const { params, result } = await run(0.01);
    expect(result).toMatchObject({ stoppedByBudget: true, budget: { maxKl: 0.01, patience: 1 } });
    expect(result.steps).toBeGreaterThan(0);
    expect(result.steps).toBeLessThan(100);
    expect(result.after.metrics.kl).toBeLessThanOrEqual(0.01);
    // What is reported is of the weights that were kept, beside the original's outputs.
    const evaluator = new Evaluator(model, engine);
    const original = { outputs: await evaluator.outputs(trained, validation) };
    const again = await evaluator.evaluate(params, validation, { original });
    await evaluator.release();
    expect(again).toEqual(result.after);
  });

  it('that diverges ends with its last good weights, and is an error where it has none', async () => {
    const options = { steps: 50, optimizer: 'sgd', alpha: 1, utilityFloor: 0, evaluateEvery: 1 };
    await expect(specdef.run(contextOf(), optionsOf({ ...options, learningRate: 1e42 }))).rejects.toThrow(
      /^diverged at step 1 of 50/,
    );
    const context = contextOf();
    const seen = new Map<number, ParameterSet>();
    const onStep = ({ step }: LockStepReport) => {
      seen.set(step, copyOf(context.params));
      // What a step that overflowed would leave, between two checks.
      if (step === 5) context.params.get('fc1.bias')?.fill(Number.NaN);
    };
    const good = optionsOf({ steps: 50, utilityFloor: 0, evaluateEvery: 2 });
    const result = await specdef.run({ ...context, onStep }, good);
    expect(result).toMatchObject({ steps: 4, stepsTried: 6, stoppedByBudget: true });
    expect(differing(context.params, seen.get(4) ?? new Map())).toEqual([]);
  });

  it('measures utility on the values that a file will hold', async () => {
    // In bfloat16, a weight has 8 binary digits.
    const context = contextOf({ stored: new Map([...model.weights.keys()].map((name) => [name, 'BF16'])) });
    const rounded = context.written();
    expect(differing(rounded, trained)).not.toEqual([]);
    const evaluator = new Evaluator(model, engine);
    const original = { outputs: await evaluator.outputs(trained, validation) };
    const held = await evaluator.evaluate(rounded, validation, { original });
    await evaluator.release();
    const result = await specdef.run(context, optionsOf({ steps: 2, evaluateEvery: 1, maxDrop: 0 }));
    expect(result.before).toEqual(held);
    expect(result.before.metrics.kl).toBeGreaterThan(0);
  });

  it('means by steps all of them, of the leading stage too', async () => {
    const reports: LockStepReport[] = [];
    const lead = { share: 0.5, topK: 1, include: ['fc1*'] };
    const options = optionsOf({ steps: 5, lead, utilityFloor: 0, evaluateEvery: 100 });
    expect(specdef.steps(options, train.size)).toBe(5);
    const result = await specdef.run(contextOf({ onStep: (report) => reports.push(report) }), options);
    expect(result.stepsTried).toBe(5);
    expect(reports.map((report) => [report.step, Object.keys(sigmaOf(report)).length])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 3],
      [5, 3],
    ]);
  });

  it('refuses leading steps on matrices that it does not lock, also where it is only planned', async () => {
    const lead = { share: 0.5, topK: 2, include: ['conv*'] };
    const message = 'lead.include: expected a pattern that matches a matrix to lock, got conv*';
    expect(() => specdef.locks(model.weights, optionsOf({ lead }), model)).toThrow(message);
    await expect(specdef.run(contextOf(), optionsOf({ steps: 2, lead }))).rejects.toThrow(message);
    expect(specdef.locks(model.weights, optionsOf({ lead: { ...lead, share: 0 } }), model)).toHaveLength(3);
  });

  it('waits out so many checks below the floor as its patience', async () => {
    const result = await specdef.run(
      contextOf(),
      optionsOf({ steps: 9, evaluateEvery: 1, utilityFloor: 1, alpha: 0, patience: 4 }),
    );
    expect(result).toMatchObject({ steps: 0, stepsTried: 4, stoppedByBudget: true });
  });

  it('keeps the starting weights when the first check is below the floor', async () => {
    const context = contextOf();
    const result = await specdef.run(
      context,
      optionsOf({ steps: 3, evaluateEvery: 1, utilityFloor: 1, alpha: 0, patience: 1 }),
    );
    expect(result).toMatchObject({ steps: 0, stepsTried: 1, stoppedByBudget: true });
    expect(result.after).toEqual(result.before);
    expect(differing(context.params, trained)).toEqual([]);
  });

  it.each([
    { name: 'subspace iteration', more: {} },
    { name: 'exact, KL retain loss', more: { exact: true, retain: { task: 0, kl: 1 } } },
  ])('an interrupted lock ends with the bits of one that was not ($name)', async ({ name, more }) => {
    const options = optionsOf({ steps: 12, evaluateEvery: 5, maxDrop: 1, ...more });
    const whole = contextOf();
    const uninterrupted = await specdef.run(whole, options);

    const checkpoint = { path: join(folder, `${name}.safetensors`), every: 100 };
    const stop = new AbortController();
    const first = contextOf({
      checkpoint,
      signal: stop.signal,
      onStep: ({ step }) => void (step === 7 && stop.abort()),
    });
    await expect(specdef.run(first, options)).rejects.toThrow(InterruptedError);
    const second = contextOf({ checkpoint });
    const resumed = await specdef.run(second, options);
    expect(resumed).toEqual(uninterrupted);
    expect(differing(whole.params, trained)).not.toEqual([]);
    expect(differing(second.params, whole.params)).toEqual([]);
    // What it took as well, which is more than the two products of the first layer each step, of 32 examples, and not another order.
    expect(second.tally.flops).toBe(whole.tally.flops);
    const least = 12 * 32 * 4 * 784 * 24;
    expect(whole.tally.flops).toBeGreaterThan(least);
    expect(whole.tally.flops).toBeLessThan(20 * least);

    // A lock that is done is not run again.
    const third = contextOf({ checkpoint, onStep: () => expect.unreachable('no step is left') });
    expect(await specdef.run(third, options)).toEqual(uninterrupted);
    expect(differing(third.params, whole.params)).toEqual([]);
  });

  it('a lock that the floor ended resumes as ended', async () => {
    const options = optionsOf({
      steps: 400,
      learningRate: 0.02,
      alpha: 0,
      evaluateEvery: 2,
      maxDrop: 0.02,
      patience: 2,
    });
    const checkpoint = { path: join(folder, 'floor.safetensors'), every: 100 };
    const first = contextOf({ checkpoint });
    const ended = await specdef.run(first, options);
    const second = contextOf({ checkpoint, onStep: () => expect.unreachable('the lock had ended') });
    expect(await specdef.run(second, options)).toEqual(ended);
    expect(differing(second.params, first.params)).toEqual([]);
  });
});

it('a sham lock has its steps and its training, and raises nothing: the weights are those of the retain loss alone', async () => {
  const largest = ({ params }: { params: ParameterSet }) =>
    svd(params.get('fc1.weight') ?? new Float32Array(), 24, 784).sigma[0];
  const options = optionsOf({ steps: 40, alpha: 0.5, maxKl: null, utilityFloor: 0 });
  const [plain, locked, sham] = [contextOf(), contextOf(), contextOf()];
  const done = await specdef.run(locked, options);
  const own = specdef.sham?.(options) ?? options;
  expect(await specdef.run(sham, own)).toMatchObject({ steps: done.steps, stepsTried: done.stepsTried });
  expect(largest(locked)).toBeGreaterThan(1.5 * largest(plain));
  expect(largest(sham)).toBeLessThan(1.1 * largest(plain));
  expect(sham.params.get('fc1.weight')).not.toEqual(plain.params.get('fc1.weight'));
});
