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
import { splitTrainTest, subset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { parameterSet } from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { createObjective, Evaluator, optimizers, runSteps } from '../../training/index.js';
import { lockContext } from '../context.js';
import type { LockStepReport } from '../lock-method.js';
import { TermBatches } from '../term-batches.js';
import { betaOf, TamperAttacks } from './attacks.js';
import { HiddenDistance } from './hidden-distance.js';
import { tar } from './index.js';
import { tarOptions } from './options.js';
import { resistanceTask } from './resistance.js';

const engine = { threads: 1 };

it('refuses attacks that would never be judged', () => {
  expect(() => parseOptions(tarOptions, { attacks: { steps: 3 } }, 'tar')).toThrow(
    'expected at most the steps of an attack, 3, as it would never be judged, got 4',
  );
  expect(parseOptions(tarOptions, { attacks: { steps: 4 } }, 'tar').attacks.every).toBe(4);
});

describe.each(peers.tar)('an attack of TAR, $steps steps judged by $resistance', (one) => {
  const options = (more: Record<string, unknown> = {}) => {
    const { resistance, weight, learningRate, ...attacks } = one;
    const { steps, every, decay } = attacks;
    return tarOptions.parse({
      ...{ resistance, weight },
      attacks: { steps, every, decay, batchSize: peers.batch, learningRates: [learningRate], heldOut: 0.5 },
      ...more,
    });
  };
  const attacked = async (more: Record<string, unknown> = {}) => {
    const seed = 1;
    // The examples that the attack is trained on and those that it is judged on, where the split finds them.
    const { train, test } = splitTrainTest(peerExamples([300, 400]), 0.5, seed);
    const adversary = peerExamples([300, 400], [...train.indices, ...test.indices]);
    const model = { ...peerModel, weights: peerWeights() };
    // Authorized steps before the others would be on the same examples.
    const context = lockContext({ model, data: { train: peerExamples([300]), adversary }, seed }, { engine });
    const attacks = await TamperAttacks.open(context, options(more));
    const found = noGradients();
    const told = await attacks.pull(parameterSet(model.weights), found, 0);
    await attacks.release();
    await context.release();
    return { found, told, weights: model.weights };
  };

  it('gives the gradients of torch, summed along it, and leaves the weights', async () => {
    const { found, told, weights } = await attacked();
    expect(told.attackedLoss).toBeCloseTo(one.attackedLoss, 5);
    expect(told.resistanceTerm).toBeCloseTo(one.term, 5);
    const { error, of } = gradientError(found, one.gradients);
    expect(error, of).toBeLessThan(1e-5);
    expect(weights).toEqual(peerWeights());
  });

  it('pushes no further below a bound', async () => {
    const { found } = await attacked({ bound: one.term + 0.1 });
    expect([...found.values()].every((values) => values.every((value) => value === 0))).toBe(true);
    const { error } = gradientError((await attacked({ bound: one.term - 0.1 })).found, one.gradients);
    expect(error).toBeLessThan(1e-5);
  });
});

it('hidden layers are as far from the original as torch says, and at the original itself nothing pulls', async () => {
  const batches = new TermBatches(peerModel, peerExamples([100]), { batchSize: peers.batch, seed: 1 });
  const params = parameterSet(peerWeights());
  for (const moved of [true, false]) {
    const hidden = new HiddenDistance(peerModel, parameterSet(peerWeights({ moved })), batches, { weight: 1, engine });
    const found = noGradients();
    const { hiddenDistance } = await hidden.pull(params, found, 0);
    await hidden.release();
    expect(hiddenDistance).toBeCloseTo(moved ? peers.distance.distance : 0, 5);
    if (moved) expect(gradientError(found, peers.distance.gradients).error).toBeLessThan(1e-5);
    else expect([...found.values()].every((values) => values.every((value) => value === 0))).toBe(true);
  }
});

it('draws shares from a Beta distribution', () => {
  const stream = new RandomStream(3, 'test');
  const drawn = Array.from({ length: 4000 }, () => betaOf(stream, 6, 3));
  const mean = drawn.reduce((a, b) => a + b) / drawn.length;
  const variance = drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length;
  // α / (α + β) and αβ / (α + β)² (α + β + 1); five standard errors.
  expect(Math.abs(mean - 2 / 3)).toBeLessThan((5 * Math.sqrt(0.0222)) / Math.sqrt(4000));
  expect(variance / (18 / 810)).toBeCloseTo(1, 0);
});

describe('tar', () => {
  let digits: DigitModel;
  beforeAll(async () => {
    digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  });
  const options = (more: Record<string, unknown> = {}) =>
    parseOptions(
      tarOptions,
      {
        ...{ steps: 100, learningRate: 2e-3, batchSize: 32, evaluateEvery: 20, maxDrop: 0.03, maxKl: null },
        ...{ optimizer: 'adamw', constant: { warmupSteps: 0 }, representations: 0.1 },
        attacks: { steps: 6, every: 2, batchSize: 32, learningRates: [1e-3, 3e-3] },
        ...more,
      },
      'tar',
    );

  /** Locks; the loss of an attack that it was not trained against, on the other digits. */
  async function attacked(more: Record<string, unknown>) {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const result = await tar.run(context, options(more));
    const params = new Map([...context.params].map(([name, values]) => [name, values.slice()]));
    const objective = await createObjective({
      ...{ model: digits.model, dataset: digits.others.train, batchSize: 64, seed: 99, engine },
    });
    await runSteps({
      params,
      compute: (current, step) => objective.compute(current, step),
      optimizer: optimizers.get('adam').create(),
      learningRate: 1e-3,
      steps: 20,
    });
    const evaluator = new Evaluator(digits.model, engine);
    const { metrics } = await evaluator.evaluate(params, digits.others.test);
    await Promise.all([objective.release(), evaluator.release(), context.release()]);
    return { reports, result, loss: Number(metrics.loss) };
  }

  it('leaves an attacker worse than its retain training alone, by an attack that it never saw', async () => {
    const [locked, sham] = [await attacked({}), await attacked({ weight: 0 })];
    expect(locked.result.steps).toBeGreaterThan(0);
    expect(locked.loss / sham.loss).toBeGreaterThan(1.5);
    const { before, after, story } = locked.result;
    expect((before?.metrics.accuracy ?? 0) - (after?.metrics.accuracy ?? 0)).toBeLessThanOrEqual(0.03 + 1e-9);
    expect(story).toEqual({ proxies: [{ name: digits.others.train.name, size: 600 }] });
    for (const { resistanceTerm, hiddenDistance } of locked.reports) {
      // Four times three points of an attack, each of an entropy of at most ln 6.
      expect(Number(resistanceTerm)).toBeLessThanOrEqual(0);
      expect(Number(resistanceTerm)).toBeGreaterThan(-12 * Math.log(6));
      expect(Number(hiddenDistance)).toBeGreaterThanOrEqual(0);
    }
    expect(sham.reports[0]).not.toHaveProperty('resistanceTerm');
  });

  it('asks for tasks that an attacker may be after, of two examples at least', async () => {
    const { model, train, validation, others } = digits;
    const without = lockContext({ model, data: { train, validation }, seed: 1 }, { engine });
    await expect(tar.run(without, options())).rejects.toThrow(
      new InputError('tar: expected examples of tasks that an attacker may be after, got none; give --proxies'),
    );
    await without.release();
    const adversary = subset(others.train, [0]);
    const few = lockContext({ model, data: { train, validation, adversary }, seed: 1 }, { engine });
    await expect(tar.run(few, options())).rejects.toThrow('to train attacks on and others to judge them, got 1');
    await few.release();
    const task = { ...taskOf(model), loss: undefined };
    expect(() => resistanceTask(task, 'entropy')).toThrow(InputError);
  });

  it('has the defaults of the published command', () => {
    expect(tarOptions.parse({})).toMatchObject({
      ...{ weight: 4, resistance: 'entropy', representations: 1, steps: 750, batchSize: 8, learningRate: 2e-5 },
      ...{ optimizer: 'schedule-free-adamw', schedule: 'constant', constant: { warmupSteps: 32 } },
      attacks: { steps: 64, every: 4, decay: 0.0625, learningRates: [2e-6, 2e-5, 4e-5], optimizers: ['adamw'] },
    });
  });
});
