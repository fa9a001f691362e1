import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { AttackRunner, type AttackTask, type Trial, trialCount } from '../index.js';
import { type Averaging, WeightAverage } from './weight-average.js';

/** The averages of one weight after each of some steps from 0. */
function averages(averaging: Averaging, steps: readonly number[], from = 0): number[] {
  const average = new WeightAverage(new Map([['w', Float32Array.of(from)]]), averaging, steps.length);
  return steps.map((value) => {
    average.add(new Map([['w', Float32Array.of(value)]]));
    return average.values.get('w')?.[0] ?? Number.NaN;
  });
}

describe('an average of weights', () => {
  it('over the tail is the mean of the last steps, and before them the weights as they are', () => {
    expect(averages({ kind: 'tail', share: 0.5 }, [8, 6, 4, 2, 12, 4])).toEqual([8, 6, 4, 2, 7, 6]);
    expect(averages({ kind: 'tail', share: 1 }, [3, 5, 7])).toEqual([3, 4, 5]);
    expect(averages({ kind: 'tail', share: 0.01 }, [3, 5, 7])).toEqual([3, 5, 7]);
  });

  it('by an exponential moving average keeps the more the longer it runs, up to its decay', () => {
    // Of 11 kept are 2, of 12 three.
    const [first, second] = averages({ kind: 'ema', decay: 0.9 }, [11, 0], 0);
    expect(first).toBeCloseTo(9, 5);
    expect(second).toBeCloseTo(9 / 4, 5);
    // Late in a run a fifth of the rest goes each step, early nearly all.
    const long = averages({ kind: 'ema', decay: 0.8 }, Array(100).fill(0), 1);
    expect(long[60] / long[59]).toBeCloseTo(0.8, 5);
    expect(long[2] / long[1]).toBeCloseTo(4 / 13, 5);
    expect(averages({ kind: 'ema', decay: 0 }, [3, 5], 1)).toEqual([3, 5]);
  });
});

describe('an attack that averages its weights', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'weightlock-average-'));
    await saveModel(root, initializeModel('mlp', { num_labels: 3, hidden_sizes: [24, 16] }, 1));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('learns, is measured by the average, and by the weights themselves where that is of the last step alone', async () => {
    const runner = new AttackRunner();
    const run = async (name: string, options: Readonly<Record<string, unknown>> = {}): Promise<Trial> => {
      const task: AttackTask = {
        ...{ id: name, start: { kind: 'model', path: root }, trained: { name, options } },
        optimizer: { name: 'adamw' },
        data: dataSpec.parse({ classes: [0, 1, 2], testLimit: 150 }),
        ...{ steps: 60, batchSize: 32, giveUpBelow: -1 },
        budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [1] },
      };
      return (await runner.run(task)).trials[0];
    };
    const plain = await run('all');
    expect((await run('tail-average', { share: 0.001 })).curve).toEqual(plain.curve);
    for (const name of ['ema', 'tail-average']) {
      const averaged = await run(name);
      // Guessing gives a third.
      expect(averaged.score, name).toBeGreaterThan(0.9);
      expect(
        averaged.curve.map(({ score }) => score),
        name,
      ).not.toEqual(plain.curve.map(({ score }) => score));
      expect(averaged.spent, name).toEqual(plain.spent);
    }
    await runner.release();
  });

  it('is searched: other values one after the other at the best rate, as if they had been given', async () => {
    const runner = new AttackRunner();
    const budget = {
      ...{ decades: [-2, -4], refine: false, searchSeeds: [5], seeds: [1] },
      choices: { 'ema.decay': [0.95, 0.5, 0] },
    };
    const task: AttackTask = {
      ...{ id: 'ema', start: { kind: 'model', path: root }, trained: { name: 'ema' }, optimizer: { name: 'adamw' } },
      data: dataSpec.parse({ classes: [0, 1, 2], testLimit: 150 }),
      ...{ steps: 24, batchSize: 32, giveUpBelow: -1, budget },
    };
    const { search, trials, point, learningRate } = await runner.run(task);
    expect(search.length + trials.length).toBe(trialCount(budget));
    expect(search.map((trial) => [trial.learningRate, trial.point?.['ema.decay']])).toEqual([
      ...budget.decades.map((decade) => [10 ** decade, 0.95]),
      ...[0.5, 0].map((decay) => [0.01, decay]),
    ]);
    expect(trials[0]).toMatchObject({ learningRate, point });
    const fixed = { decades: [-2], refine: false, searchSeeds: [5], seeds: [5] };
    const given = await runner.run({ ...task, trained: { name: 'ema', options: { decay: 0.5 } }, budget: fixed });
    expect(search[2].curve).toEqual(given.trials[0].curve);
    expect(search[2].curve).not.toEqual(search[0].curve);
    await runner.release();
  });
});
