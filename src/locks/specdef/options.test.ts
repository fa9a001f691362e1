import { describe, expect, it } from 'vitest';
import { type Dataset, floatDataset } from '../../data/index.js';
import { RandomStream, svd } from '../../linalg/index.js';
import { initializeModel, type Model, parameterSet } from '../../models/index.js';
import type { ParameterSet } from '../../training/index.js';
import { type LockStepReport, lockMethods, type SpecDefOptions } from '../index.js';
import { specDefOptions } from './options.js';

/** Points of two classes that a line tells apart, mostly. */
function clouds(size: number, seed: number): Dataset {
  const stream = new RandomStream(seed, 'clouds');
  const labels = Int32Array.from({ length: size }, (_, i) => i % 2);
  const inputs = Float32Array.from({ length: 4 * size }, (_, i) => labels[i >> 2] - 0.5 + stream.normal());
  return floatDataset({ name: 'clouds', shape: [4], inputs, labels, classes: ['a', 'b'] });
}

const train = clouds(64, 1);
const model: Model = initializeModel('mlp', { input_shape: [4], num_labels: 2, hidden_sizes: [6, 5] }, 3);
const copyOf = (params: ParameterSet) => new Map([...params].map(([name, values]) => [name, values.slice()]));
const start = copyOf(parameterSet(model.weights));

/** A step of a lock: what it reports, and the weights after it. */
type Step = LockStepReport & { params: ParameterSet };

/** Every step of a lock, also of one that its guard takes back. */
async function stepsOf(options: object, locked = model): Promise<Step[]> {
  const params = copyOf(parameterSet(locked.weights));
  const steps: Step[] = [];
  const method = lockMethods.get('specdef');
  const given = {
    optimizer: 'sgd',
    alpha: 0.1,
    retain: { task: 1, kl: 0 },
    lead: { share: 0 },
    utilityFloor: 0,
    maxKl: null,
    topK: 2,
    batchSize: 64,
    steps: 2,
    ...options,
  };
  await method.run(
    {
      model: locked,
      params,
      train,
      validation: clouds(20, 2),
      seed: 11,
      engine: { threads: 1 },
      onStep: (report) => void steps.push({ ...report, params: copyOf(params) }),
    },
    specDefOptions.parse(given) satisfies SpecDefOptions,
  );
  return steps;
}

/** How far the weights moved, all together. */
function distance(from: ParameterSet, to: ParameterSet): number {
  const squares = [...from].flatMap(([name, values]) => [...values].map((x, i) => (x - (to.get(name)?.[i] ?? 0)) ** 2));
  return Math.sqrt(squares.reduce((a, b) => a + b, 0));
}

/** The lengths of the first two steps. */
async function strides(options: object): Promise<[number, number]> {
  const [first, second] = await stepsOf(options);
  return [distance(start, first.params), distance(first.params, second.params)];
}

describe('every option of specdef does what its name says', () => {
  it.each([0.1, 0.5, 0.9])('alpha %d weighs the retain loss against the singular values', async (alpha) => {
    const [{ loss, retainLoss, meanSigma }] = await stepsOf({ alpha });
    expect(loss).toBeCloseTo(alpha * retainLoss - (1 - alpha) * meanSigma, 10);
  });

  it('epochs and batchSize: as many steps as batches', async () => {
    expect(await stepsOf({ epochs: 2, batchSize: 16 })).toHaveLength(8);
    expect(await stepsOf({ epochs: 1, batchSize: 32 })).toHaveLength(2);
  });

  it('learningRate and optimizer: how far a step goes', async () => {
    const [[one], [two]] = await Promise.all([1e-3, 2e-3].map((learningRate) => strides({ learningRate })));
    expect(two / one).toBeCloseTo(2, 2);
    // Adam's first step is the learning rate in every weight that has a gradient.
    const learningRate = 1e-3;
    const [adam] = await stepsOf({ optimizer: 'adam', learningRate });
    const moved = [...start].flatMap(([name, values]) =>
      [...values].map((x, i) => (adam.params.get(name)?.[i] ?? 0) - x),
    );
    const stepped = moved.filter((by) => by !== 0);
    expect(stepped.length).toBeGreaterThan(moved.length / 2);
    expect(Math.max(...stepped.map((by) => Math.abs(Math.abs(by) / learningRate - 1)))).toBeLessThan(1e-3);
  });

  it('schedule and gamma: the second of two steps by another rate', async () => {
    const ratio = async (options: object) => {
      const [first, second] = await strides({ learningRate: 1e-3, ...options });
      return second / first;
    };
    expect(await ratio({ schedule: 'constant' })).toBeCloseTo(1, 2);
    expect(await ratio({ schedule: 'linear' })).toBeCloseTo(0.5, 2);
    // All examples are one batch, so an epoch is a step.
    expect(await ratio({ schedule: 'step', gamma: 0.25 })).toBeCloseTo(0.25, 2);
    expect(await ratio({ schedule: 'step', gamma: 0.75 })).toBeCloseTo(0.75, 2);
  });

  it('retain: the weights of task loss and KL divergence, which is none at the original', async () => {
    const retainLoss = async (retain: object) =>
      (await stepsOf({ retain: { task: 0, kl: 0, ...retain } }))[0].retainLoss;
    const once = await retainLoss({ task: 1 });
    expect(once).toBeGreaterThan(0.1);
    expect((await retainLoss({ task: 2 })) / once).toBeCloseTo(2, 5);
    expect(Math.abs(await retainLoss({ task: 0, kl: 1 }))).toBeLessThan(1e-6);
    expect(await retainLoss({ task: 1, kl: 1 })).toBeCloseTo(once, 5);
    const kl = (await stepsOf({ retain: { task: 0, kl: 1 }, learningRate: 0.5 }))[1].retainLoss;
    const doubled = (await stepsOf({ retain: { task: 0, kl: 2 }, learningRate: 0.5 }))[1].retainLoss;
    expect(kl).toBeGreaterThan(1e-3);
    expect(doubled / kl).toBeCloseTo(2, 3);
  });

  it('topK, include, exclude: which singular values of which matrices', async () => {
    const sigmas = async (options: object) =>
      [...(await stepsOf(options))[0].sigma].map(([name, values]) => [name, values.length]);
    expect(await sigmas({})).toEqual([
      ['fc1.weight', 2],
      ['fc2.weight', 2],
      ['fc3.weight', 2],
    ]);
    expect(await sigmas({ topK: 1, include: ['fc2*', 'fc3*'], exclude: ['fc3*'] })).toEqual([['fc2.weight', 1]]);
  });

  it('lead: its matrices alone, for its share of the steps, with its topK', async () => {
    const reports = await stepsOf({ lead: { share: 0.6, topK: 1, include: ['fc2*'] }, steps: 5 });
    const leading = reports.filter(({ sigma }) => sigma.size === 1);
    expect(leading.map(({ step }) => step)).toEqual([1, 2, 3]);
    for (const { sigma } of leading)
      expect([...sigma].map(([name, { length }]) => [name, length])).toEqual([['fc2.weight', 1]]);
    expect(reports).toHaveLength(5);
    expect([...(reports.at(-1)?.sigma ?? [])].map(([, { length }]) => length)).toEqual([2, 2, 2]);
  });

  it('targetSigma: a value that has come this far is pushed no further', async () => {
    const pushed = async (targetSigma?: number) =>
      (await strides({ alpha: 0, targetSigma, learningRate: 0.01 })).map((stride) => stride > 0);
    expect(await pushed()).toEqual([true, true]);
    expect(await pushed(1e-3)).toEqual([false, false]);
    expect(await pushed(1e3)).toEqual([true, true]);
  });

  it('exact: to the rounding of a full SVD, at every step', async () => {
    // Larger than the block that subspace iteration works on.
    const wide = initializeModel('mlp', { input_shape: [4], num_labels: 2, hidden_sizes: [90, 80] }, 3);
    const worst = async (exact: boolean) => {
      const steps = await stepsOf({ exact, steps: 6, topK: 1, alpha: 0, learningRate: 0.3 }, wide);
      let [error, params]: [number, ParameterSet] = [0, parameterSet(wide.weights)];
      for (const { sigma, params: after } of steps) {
        for (const [name, [found]] of sigma) {
          const [rows, columns] = wide.weights.get(name)?.shape ?? [];
          const [expected] = svd(params.get(name) ?? new Float32Array(), rows, columns).sigma;
          error = Math.max(error, Math.abs(found / expected - 1));
        }
        params = after;
      }
      return error;
    };
    expect(await worst(true)).toBe(0);
    // Subspace iteration is as good here, but not the same to the bit.
    expect(await worst(false)).toBeGreaterThan(0);
    expect(await worst(false)).toBeLessThan(1e-12);
  });
});
