import { beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { selectClasses, subset } from '../../data/index.js';
import { exactSingularValues, RandomStream } from '../../linalg/index.js';
import { cloneWeights, initializeModel, parameterSet, weightMatrices } from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { createObjective, Evaluator, optimizers, type ParameterSet, runSteps } from '../../training/index.js';
import { lockContext } from '../context.js';
import type { LockStepReport } from '../lock-method.js';
import { proxyParts } from '../term-batches.js';
import { guessingLoss } from './attack.js';
import { trap } from './index.js';
import { type AttackStart, attackStarts, trapOptions } from './options.js';
import { startOf } from './starts.js';

let digits: DigitModel;
beforeAll(async () => {
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
});

describe('what an attack begins with', () => {
  const options = trapOptions.parse({ attacks: { topK: 2, rank: 3, reset: 0.6 } }).attacks;
  const started = (kind: AttackStart) => {
    const { model } = digits;
    const stream = new RandomStream(1, 'test');
    return startOf(kind, parameterSet(model.weights), { model, shapes: model.weights, options, stream });
  };
  const sigma = (params: ParameterSet, { name, rows, columns } = weightMatrices(digits.model.weights)[0]) =>
    exactSingularValues(params.get(name) ?? new Float32Array(), rows, columns);

  it('is the released weights, without their top, of low rank, or partly drawn anew; these stay as they are', () => {
    const before = cloneWeights(digits.model.weights);
    const original = sigma(parameterSet(before));
    expect(sigma(started('released').params)).toEqual(original);
    const near = (found: Float64Array, wanted: ArrayLike<number>) => {
      for (let i = 0; i < 3; i++) expect(found[i] / wanted[i]).toBeCloseTo(1, 3);
    };
    near(sigma(started('clipped').params), original.slice(2));
    near(sigma(started('low-rank').params), original);
    expect(sigma(started('low-rank').params)[3]).toBeLessThan(1e-5);
    const drawn = weightMatrices(before).filter(
      ({ name }) => String(started('reset').params.get(name)) !== String(before.get(name)?.data),
    );
    expect(drawn.length).toBeGreaterThan(0);
    expect(drawn.length).toBeLessThan(weightMatrices(before).length);
    expect(digits.model.weights).toEqual(before);
  });

  it('gives a gradient back without what it took away', () => {
    const matrix = weightMatrices(digits.model.weights)[0];
    const gradient = () => {
      const values = new Float32Array(matrix.rows * matrix.columns);
      new RandomStream(2, 'gradient').fillNormal(values, 0, 1);
      return values;
    };
    for (const kind of attackStarts) {
      const { params, pullBack } = started(kind);
      const felt = gradient();
      pullBack(matrix.name, felt);
      if (kind === 'released') expect(felt).toEqual(gradient());
      // Of low rank as the weights are.
      if (kind === 'low-rank') expect(sigma(new Map([[matrix.name, felt]]))[3]).toBeLessThan(1e-4);
      if (kind === 'reset') {
        const isDrawn = String(params.get(matrix.name)) !== String(digits.model.weights.get(matrix.name)?.data);
        expect(felt.every((value) => value === 0)).toBe(isDrawn);
      }
      if (kind === 'clipped') expect(felt).not.toEqual(gradient());
    }
  });
});

describe('trap', () => {
  const options = (more: Record<string, unknown> = {}) =>
    parseOptions(
      trapOptions,
      {
        ...{ steps: 100, learningRate: 2e-3, batchSize: 32, evaluateEvery: 25, maxDrop: 0.03, maxKl: 0.3 },
        ...{ bound: 4, attacks: { steps: 6 } },
        ...more,
      },
      'trap',
    );

  /** Locks; the loss of an attack that it was not trained against, on the other digits. */
  async function attacked(more: Record<string, unknown>) {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const result = await trap.run(context, options(more));
    const params = new Map([...context.params].map(([name, values]) => [name, values.slice()]));
    const objective = await createObjective({
      ...{ model: digits.model, dataset: digits.others.train, batchSize: 64, seed: 99, engine: { threads: 1 } },
    });
    await runSteps({
      params,
      compute: (current, step) => objective.compute(current, step),
      optimizer: optimizers.get('adam').create(),
      learningRate: 1e-3,
      steps: 10,
    });
    const evaluator = new Evaluator(digits.model, { threads: 1 });
    const { metrics } = await evaluator.evaluate(params, digits.others.test);
    await Promise.all([objective.release(), evaluator.release(), context.release()]);
    return { reports, result, loss: Number(metrics.loss) };
  }

  it('leaves an attacker worse than its retain training alone, by an attack that it never saw', async () => {
    const [locked, sham] = [await attacked({}), await attacked({ weight: 0 })];
    expect(locked.result.steps).toBeGreaterThan(0);
    expect(locked.loss / sham.loss).toBeGreaterThan(1.1);
    for (const { attackedLoss, trapTerm } of locked.reports) {
      expect(Number(attackedLoss) >= 0 && Number(attackedLoss) <= 4).toBe(true);
      expect(Number(trapTerm) >= 0 && Number(trapTerm) <= 2).toBe(true);
    }
    expect(locked.result.story).toEqual({ proxies: [{ name: digits.others.train.name, size: 600 }] });
  });

  it('pushes no further than guessing where no bound is given, of each task its own', async () => {
    const { model, train, others } = digits;
    expect(guessingLoss(model, train)).toBeCloseTo(Math.log(3), 12);
    expect(guessingLoss(model, selectClasses(others.train, [0, 1]))).toBeCloseTo(Math.LN2, 12);
    const keys = { vocab_size: 40, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8 };
    const words = initializeModel('llama', { ...keys, num_key_value_heads: 2, max_position_embeddings: 16 }, 1);
    expect(guessingLoss(words, train)).toBeCloseTo(Math.log(40), 12);
    const sentences = initializeModel('bert', { ...keys, architectures: ['BertModel'] }, 1);
    expect(() => guessingLoss(sentences, train)).toThrow('trap.bound: expected one, as outputs of embedding');
    // A loss of guessing and more is worth nothing more.
    const { reports } = await attacked({ bound: undefined, steps: 20, maxDrop: 1, maxKl: null });
    for (const { attackedLoss, trapTerm } of reports) {
      expect(Number(attackedLoss)).toBeLessThanOrEqual(Math.log(3));
      expect(Number(trapTerm)).toBeLessThanOrEqual(Math.log(3) / 2);
    }
  });

  it('judges attacks by examples that none is trained on', async () => {
    const { others } = digits;
    const { attacked: trained, judged } = proxyParts(others.train, { heldOut: 0.25, seed: 1, name: 'trap' });
    expect([trained.size, judged.size]).toEqual([450, 150]);
    expect(trained.indices.filter((index) => judged.indices.includes(index))).toHaveLength(0);
    const few = subset(others.train, [0]);
    expect(() => proxyParts(few, { heldOut: 0.2, seed: 1, name: 'trap' })).toThrow(
      'to train attacks on and others to judge them, got 1',
    );
    const [some, more] = [0.2, 0.5].map((heldOut) => ({ steps: 4, attacks: { steps: 2, heldOut } }));
    expect((await attacked(some)).reports).not.toEqual((await attacked(more)).reports);
  });

  it('asks for tasks that an attacker may be after, several where they are given', async () => {
    const { model, train, validation, others } = digits;
    const without = lockContext({ model, data: { train, validation }, seed: 1 }, { engine: { threads: 1 } });
    await expect(trap.run(without, options())).rejects.toThrow(InputError);
    await expect(trap.run(without, options())).rejects.toThrow(
      'expected examples of tasks that an attacker may be after',
    );
    await without.release();
    const weights = cloneWeights(model.weights);
    const adversary = [others.train, others.test];
    const context = lockContext(
      { model: { ...model, weights }, data: { train, validation, adversary }, seed: 1 },
      { engine: { threads: 1 } },
    );
    const { story } = await trap.run(context, options({ steps: 2, maxDrop: 1, maxKl: null }));
    expect(story?.proxies).toHaveLength(2);
    expect((await context.adversary())?.size).toBe(adversary[0].size);
    await context.release();
  });
});
