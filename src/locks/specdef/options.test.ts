import { describe, expect, it } from 'vitest';
import { type Dataset, floatDataset } from '../../data/index.js';
import { RandomStream, svd } from '../../linalg/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet } from '../../models/index.js';
import type { ParameterSet } from '../../training/index.js';
import { type LockStepReport, lockContext, lockMethods, type SpecDefOptions } from '../index.js';
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

/** A step of a lock: what SpecDef reports of it, and the weights after it. */
interface Step {
  step: number;
  loss: number;
  retainLoss: number;
  meanSigma: number;
  /** The largest singular value of each matrix that is pushed. */
  sigma: Record<string, number>;
  params: ParameterSet;
}

/** Every step of a lock, also of one that its guard takes back. */
async function stepsOf(options: object, locked = model): Promise<Step[]> {
  const weights = cloneWeights(locked.weights);
  const params = parameterSet(weights);
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
  const onStep = (report: LockStepReport) =>
    void steps.push({ ...(report as unknown as Omit<Step, 'params'>), params: copyOf(params) });
  const context = lockContext(
    { model: { ...locked, weights }, data: { train, validation: clouds(20, 2) }, seed: 11 },
    { engine: { threads: 1 }, onStep },
  );
  await method.run(context, specDefOptions.parse(given) satisfies SpecDefOptions);
  await context.release();
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

  it('schedule and its options: the second of two steps by another rate', async () => {
    const ratio = async (options: object) => {
      const [first, second] = await strides({ learningRate: 1e-3, ...options });
      return second / first;
    };
    expect(await ratio({ schedule: 'constant' })).toBeCloseTo(1, 2);
    expect(await ratio({ schedule: 'linear' })).toBeCloseTo(0.5, 2);
    // All examples are one batch, so an epoch is a step.
    expect(await ratio({ schedule: 'step', step: { gamma: 0.25 } })).toBeCloseTo(0.25, 2);
    expect(await ratio({ schedule: 'step', step: { gamma: 0.75 } })).toBeCloseTo(0.75, 2);
  });

  it('the options of the chosen optimizer and schedule, warm-up among them', async () => {
    const [first, second] = await strides({ learningRate: 1e-4 });
    const heavy = await strides({ learningRate: 1e-4, sgd: { momentum: 0.5 } });
    expect([heavy[0] / first, heavy[1] / second]).toEqual([1, expect.closeTo(1.5, 2)]);
    const warmup = { schedule: 'constant', constant: { warmupSteps: 2, warmupStart: 0.25 } };
    const warm = await strides({ learningRate: 1e-4, ...warmup });
    expect([warm[0] / first, warm[1] / second]).toEqual([expect.closeTo(0.25, 3), expect.closeTo(0.625, 3)]);
  });

  it('clipNorm, decay, rateFactors: the longest gradient, what decays, which weights are slower', async () => {
    expect((await strides({ clipNorm: 0.01, learningRate: 0.5 }))[0]).toBeCloseTo(0.005, 6);
    const moved = async (options: object) => {
      const [{ params }] = await stepsOf({ learningRate: 1e-3, steps: 1, ...options });
      return (name: string) => distance(new Map([[name, start.get(name) ?? []]]) as ParameterSet, params);
    };
    const [plain, slow] = [await moved({}), await moved({ rateFactors: ['fc1*=0', '*.bias=0.5'] })];
    expect([slow('fc1.weight'), slow('fc1.bias')]).toEqual([0, 0]);
    expect(slow('fc2.bias') / plain('fc2.bias')).toBeCloseTo(0.5, 3);
    expect(slow('fc2.weight')).toBe(plain('fc2.weight'));
    const weightDecay = { sgd: { weightDecay: 100 } };
    const [all, matrices] = [await moved(weightDecay), await moved({ ...weightDecay, decay: 'matrices' })];
    expect(matrices('fc2.weight')).toBe(all('fc2.weight'));
    expect(matrices('fc2.bias')).toBe(plain('fc2.bias'));
    expect(all('fc2.bias')).toBeGreaterThan(1.5 * plain('fc2.bias'));
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

  /** Mean of the k largest singular values of some matrices at the start, from a full SVD. */
  const meanOf = (names: readonly string[], k: number) => {
    const values = names.flatMap((name) => {
      const [rows, columns] = model.weights.get(name)?.shape ?? [];
      return [...svd(start.get(name) ?? new Float32Array(), rows, columns).sigma.slice(0, k)];
    });
    return values.reduce((a, b) => a + b, 0) / values.length;
  };
  const all = ['fc1.weight', 'fc2.weight', 'fc3.weight'];

  it('topK, include, exclude: which singular values of which matrices', async () => {
    const [{ sigma, meanSigma }] = await stepsOf({});
    expect(Object.keys(sigma)).toEqual(all);
    expect(meanSigma / meanOf(all, 2)).toBeCloseTo(1, 6);
    const [some] = await stepsOf({ topK: 1, include: ['fc2*', 'fc3*'], exclude: ['fc3*'] });
    expect(Object.keys(some.sigma)).toEqual(['fc2.weight']);
    expect(some.meanSigma / meanOf(['fc2.weight'], 1)).toBeCloseTo(1, 6);
  });

  it('lead: its matrices alone, for its share of the steps, with its topK', async () => {
    const reports = await stepsOf({ lead: { share: 0.6, topK: 1, include: ['fc2*'] }, steps: 5 });
    expect(reports.map(({ step, sigma }) => [step, Object.keys(sigma)])).toEqual([
      [1, ['fc2.weight']],
      [2, ['fc2.weight']],
      [3, ['fc2.weight']],
      [4, all],
      [5, all],
    ]);
    expect(reports[0].meanSigma / meanOf(['fc2.weight'], 1)).toBeCloseTo(1, 6);
    // Of two a matrix again: with one the mean would be that of the largest.
    const { meanSigma, sigma } = reports[3];
    const largest = Object.values(sigma).reduce((a, b) => a + b, 0) / all.length;
    expect(meanSigma).toBeLessThan(0.95 * largest);
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
        for (const [name, found] of Object.entries(sigma)) {
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
