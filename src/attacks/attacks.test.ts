import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSpec, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { exactSingularValues } from '../linalg/index.js';
import { cloneWeights, initializeModel, loadModel, type Model, type StateDict, saveModel } from '../models/index.js';
import { InputError, InterruptedError } from '../registry/index.js';
import { Evaluator } from '../training/index.js';
import {
  AttackRunner,
  type AttackTask,
  attacks,
  clipRaised,
  evaluationSteps,
  fineTune,
  raisedOptions,
  ranked,
  resetWeights,
  runAttackTasks,
  type SearchResult,
  type Trial,
  transformWeights,
  trialCount,
} from './index.js';

const config = { num_labels: 2, channels: [2, 2], hidden_sizes: [8, 8, 8] };
let root: string;
let released: string;
let model: Model;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-attacks-'));
  released = join(root, 'model');
  model = initializeModel('cnn', config, 1);
  await saveModel(released, model);
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

const sigmaOf = (weights: StateDict, name: string) => {
  const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
  return [...exactSingularValues(data, shape[0], data.length / shape[0])];
};

/** A lock that raised k singular values of every matrix, without a leading stage. */
const raised = (topK: number) => raisedOptions.parse({ topK, lead: { include: [] } });

describe('clipRaised', () => {
  it('cuts the k largest singular values of each matrix to the first one below, and leaves the rest', () => {
    const clipped = clipRaised(model.weights, raised(3));
    for (const name of ['conv2.weight', 'fc1.weight', 'fc3.weight']) {
      const before = sigmaOf(model.weights, name);
      const after = sigmaOf(clipped, name);
      const level = before[Math.min(3, before.length - 1)];
      before.forEach((value, j) => {
        expect(Math.abs(after[j] - (j < 3 ? level : value)) / before[0], `${name} σ${j + 1}`).toBeLessThan(1e-6);
      });
    }
    expect(clipped.get('fc1.bias')?.data).toEqual(model.weights.get('fc1.bias')?.data);
  });

  it('changes nothing of the original', () => {
    const before = model.weights.get('fc1.weight')?.data.slice();
    clipRaised(model.weights, raised(2)).get('fc1.weight')?.data.fill(0);
    expect(model.weights.get('fc1.weight')?.data).toEqual(before);
  });
});

describe('resetWeights', () => {
  it('takes the named weights from the fresh model and the others from the released one', () => {
    const fresh = initializeModel('cnn', config, 2).weights;
    const mixed = resetWeights(model.weights, fresh, ['fc*']);
    for (const [name, { data }] of mixed) {
      expect(data, name).toBe((name.startsWith('fc') ? fresh : model.weights).get(name)?.data);
    }
    expect(() => resetWeights(model.weights, fresh, ['head.*'])).toThrow(
      'expected a pattern that matches a weight, got head.*',
    );
  });
});

describe('fineTune', () => {
  it('measures from step 0 on the grid, ends at the target, and leaves the weights alone', async () => {
    const { train, test } = await loadData(dataSpec.parse({ classes: [0, 1] }));
    const programs = new ProgramCache({ threads: 1 });
    const evaluator = new Evaluator(model, { threads: 1 });
    const before = model.weights.get('fc1.weight')?.data.slice();
    const shared = {
      model,
      weights: model.weights,
      train,
      test,
      steps: 60,
      batchSize: 16,
      seed: 1,
      programs,
      evaluator,
    };
    const good = await fineTune({ ...shared, optimizer: { name: 'adamw' }, learningRate: 1e-2, target: 0.9 });
    expect(good.end).toBe('target');
    expect(good.curve[0].step).toBe(0);
    expect(good.cost).toBe(good.curve.at(-1)?.step);
    expect(evaluationSteps(60)).toContain(good.cost);
    expect(good.curve.filter(({ score }) => score >= 0.9)).toHaveLength(1);
    const both = await fineTune({
      ...shared,
      optimizer: { name: 'adamw' },
      learningRate: 1e-2,
      target: 0.9,
      continueAfterTarget: true,
      evaluationSpacing: 2,
    });
    expect([both.end, both.curve.map(({ step }) => step)]).toEqual(['budget', [0, 4, 8, 16, 32, 60]]);
    expect(both.cost).toBe(both.curve.find(({ score }) => score >= 0.9)?.step);
    expect(both.score).toBe(Math.max(...both.curve.map(({ score }) => score)));
    const beaten = await fineTune({
      ...shared,
      optimizer: { name: 'adamw' },
      learningRate: 1e-4,
      target: 0.99,
      beatenAfter: 12,
    });
    expect([beaten.end, beaten.curve.at(-1)?.step, beaten.cost]).toEqual(['beaten', 12, undefined]);
    const givenUp = await fineTune({ ...shared, optimizer: { name: 'sgd' }, learningRate: 1e-9 });
    expect(givenUp.end).toBe('given up');
    expect(givenUp.curve.at(-1)?.step).toBeLessThan(40);
    const diverged = await fineTune({ ...shared, optimizer: { name: 'sgd' }, learningRate: 1e6 });
    expect(diverged.end).toBe('diverged');
    expect(model.weights.get('fc1.weight')?.data).toEqual(before);
    await Promise.all([programs.release(), evaluator.release()]);
  });
});

describe('fineTune with optimizers that ask for more than the gradient', () => {
  const small = initializeModel('cnn', { num_labels: 3, channels: [4, 8], hidden_sizes: [32, 24, 16] }, 5);

  it.each([
    { name: 'psgd-kron', learningRate: 3e-2, steps: 60, each: 3 },
    { name: 'psgd-xmat', learningRate: 1e-2, steps: 120, each: 3 },
    { name: 'lbfgs', options: { lineSearch: 'strong-wolfe' }, learningRate: 1, steps: 24, each: 26 },
    { name: 'natural-gradient', learningRate: 0.1, steps: 24, each: 21 },
  ])('$name learns digits, and its evaluations are counted', async ({ name, options, learningRate, steps, each }) => {
    const { train, test } = await loadData(dataSpec.parse({ classes: [0, 1, 2] }));
    const programs = new ProgramCache({ threads: 1 });
    const evaluator = new Evaluator(small, { threads: 1 });
    const { score, curve, evaluations } = await fineTune({
      model: small,
      weights: small.weights,
      train,
      test,
      optimizer: { name, options },
      learningRate,
      steps,
      batchSize: 32,
      seed: 1,
      target: 0.8,
      programs,
      evaluator,
    });
    await Promise.all([programs.release(), evaluator.release()]);
    expect(score, JSON.stringify(curve)).toBeGreaterThanOrEqual(0.8);
    expect(evaluations).toBeLessThanOrEqual(each * (curve.at(-1)?.step ?? 0));
    expect(evaluations).toBeGreaterThan(2 * (curve.at(-1)?.step ?? 0));
  });
});

function task(id: string, more: Partial<AttackTask> = {}): AttackTask {
  return {
    id,
    start: { kind: 'model', path: released },
    optimizer: { name: 'adamw' },
    data: dataSpec.parse({ classes: [2, 3] }),
    perClass: 5,
    steps: 8,
    batchSize: 8,
    budget: { decades: [-2, -3], searchSeeds: [7, 8], seeds: [1, 2] },
    ...more,
  };
}

describe('tasks', () => {
  const tasks = () => [
    // Enough steps that training on the released weights tells whether they were clipped.
    task('plain', { steps: 24 }),
    task('clip', { steps: 24, transforms: [{ name: 'clip', options: raised(2) }] }),
    task('reset', { transforms: [{ name: 'reset', options: { include: ['fc*'] } }] }),
    task('random', { start: { kind: 'random', like: released } }),
    task('frozen', { trained: { name: 'none' } }),
  ];

  it('give the same results in this process and in one or two others', async () => {
    const run = async (workers: number) => {
      const found = new Map<string, SearchResult>();
      let trials = 0;
      await runAttackTasks(tasks(), {
        workers,
        onTrial: () => void trials++,
        onResult: async ({ id }, result) => void found.set(id, result),
      });
      // Frozen use has no learning rate to search: a trial for each seed of the search, and for each that is reported.
      const { budget } = task('');
      expect(trials).toBe(4 * trialCount(budget) + budget.searchSeeds.length + budget.seeds.length);
      return Object.fromEntries([...found].sort());
    };
    const here = await run(0);
    expect(Object.keys(here)).toEqual(['clip', 'frozen', 'plain', 'random', 'reset']);
    expect(await run(1)).toEqual(here);
    expect(await run(2)).toEqual(here);
    // The search's trials count too: with its one rate a tiny network may learn nothing in eight steps, the same in each task.
    const curves = Object.values(here).map(({ search, trials }) =>
      JSON.stringify([...search, ...trials].map(({ curve }) => curve)),
    );
    expect(new Set(curves).size).toBe(5);
  });

  it('measure the trials of a search as coarsely as it asks, and those that are reported as finely as before', async () => {
    const runner = new AttackRunner();
    const budget = { decades: [-2, -3], refine: false, searchSpacing: 3, searchSeeds: [7, 8], seeds: [1] };
    const { search, trials } = await runner.run(task('coarse', { steps: 24, giveUpBelow: -1, budget }));
    await runner.release();
    const steps = ({ curve }: (typeof trials)[number]) => curve.map(({ step }) => step);
    expect(search.length).toBe(4);
    for (const trial of search) expect(steps(trial)).toEqual([0, 4, 12, 24]);
    expect(steps(trials[0])).toEqual([0, ...evaluationSteps(24)]);
    expect(evaluationSteps(24)).toEqual([4, 8, 12, 16, 20, 24]);
  });

  it('search with fewer steps than are reported, where they are told to', async () => {
    const runner = new AttackRunner();
    const budget = { decades: [-2, -3], refine: false, searchSteps: 8, searchSeeds: [7], seeds: [1] };
    const { search, trials } = await runner.run(task('short', { steps: 24, giveUpBelow: -1, budget }));
    await runner.release();
    const last = ({ curve }: (typeof trials)[number]) => curve.at(-1)?.step;
    expect([search.map(last), trials.map(last)]).toEqual([[8, 8], [24]]);
  });

  it('give up trials of a search, and none that is reported', async () => {
    const runner = new AttackRunner();
    const budget = { decades: [-8, -9], refine: false, searchSeeds: [7], seeds: [1, 2] };
    const { search, trials } = await runner.run(task('late', { steps: 24, giveUpBelow: 0.9, budget }));
    await runner.release();
    expect(search.map(({ end }) => end)).toEqual(['given up', 'given up']);
    expect(trials.map(({ end, curve }) => [end, curve.at(-1)?.step])).toEqual([
      ['budget', 24],
      ['budget', 24],
    ]);
  });

  it('train by the schedule of their optimizer', async () => {
    const runner = new AttackRunner();
    const ends = async (more: Partial<AttackTask>) => {
      const budget = { decades: [-2], refine: false, searchSeeds: [7], seeds: [1] };
      const { trials } = await runner.run(task('scheduled', { ...more, budget }));
      return trials.map(({ metrics }) => metrics.loss);
    };
    const constant = await ends({});
    const of = (name: string) => ends({ optimizer: { name: 'adamw', schedule: { name } } });
    expect(await of('constant')).toEqual(constant);
    expect(await of('linear')).not.toEqual(constant);
    await runner.release();
  });

  it('report the seeds asked for with the chosen rate, each from its own start and examples', async () => {
    const runner = new AttackRunner();
    const { search, learningRate, trials } = await runner.run(tasks()[3]);
    expect(trials.map(({ seed }) => seed)).toEqual([1, 2]);
    expect(trials.every((trial) => trial.learningRate === learningRate)).toBe(true);
    expect(trials[0].curve[0].score).not.toBe(trials[1].curve[0].score);
    // Two decades, two half decades, and the two best again with the second search seed.
    expect(search.map(({ seed }) => seed)).toEqual([7, 7, 7, 7, 8, 8]);
    await runner.release();
  });

  it('take one of several draws by the seed, searches and frozen use too', async () => {
    const other = join(root, 'other-draw');
    await saveModel(other, initializeModel('cnn', config, 2));
    const runner = new AttackRunner();
    const run = async (path: string, draws: readonly string[] | undefined, more: Partial<AttackTask> = {}) => {
      const own = task('draws', { start: { kind: 'model', path, ...(draws && { draws }) }, ...more });
      return runner.run({ ...own, budget: { ...own.budget, decades: [-2], refine: false, seeds: [1, 2, 3, 4] } });
    };
    for (const more of [{}, { trained: { name: 'none' } }, { trained: { name: 'hidden-layers' } }]) {
      const [first, second, both] = [
        await run(released, undefined, more),
        await run(other, undefined, more),
        await run(released, [other], more),
      ];
      // Seeds 2 and 4 take the first, 1 and 3 the second.
      const picked = [second.trials[0], first.trials[1], second.trials[2], first.trials[3]];
      expect(both.trials).toEqual(picked);
      expect(first.trials).not.toEqual(second.trials);
    }
    const wider = join(root, 'wider');
    await saveModel(wider, initializeModel('cnn', { ...config, hidden_sizes: [9, 8, 8] }, 1));
    await expect(run(released, [wider])).rejects.toThrow('expected draws of one model');
    await runner.release();
  });

  it('never change the released weights in memory, whatever is done to them first', async () => {
    const loaded = await loadModel(released);
    const copy = cloneWeights(loaded.weights);
    const { train, test } = await loadData(dataSpec.parse({ classes: [2, 3], testLimit: 50 }));
    const programs = new ProgramCache({ threads: 1 });
    const evaluator = new Evaluator(loaded, { threads: 1 });
    for (const { name, transforms: steps } of attacks.entries()) {
      // Those have options without defaults, or nothing to do here.
      if (['interpolate', 'canonicalize', 'canonicalize-clip-edge', 'clip-profile'].includes(name)) continue;
      const fresh = (seed: number) => initializeModel('cnn', config, seed).weights;
      // Those train before, which they do in an attack alone.
      if (steps.some(({ works }) => works)) continue;
      const weights = await transformWeights(
        loaded,
        loaded.weights,
        steps.map((step) => ({ name: step.name, options: {} })),
        fresh,
      )(1);
      const shared = { model: loaded, weights, train, test, batchSize: 8, seed: 1, programs, evaluator };
      const trial = await fineTune({ ...shared, optimizer: { name: 'sgd' }, learningRate: 1e-3, steps: 4 });
      expect(trial.curve.at(-1)?.step, name).toBe(4);
    }
    await Promise.all([programs.release(), evaluator.release()]);
    expect(new Map(loaded.weights)).toEqual(copy);
  });

  it('compute where they are told to: an engine that is not there is an error in every process', async () => {
    for (const workers of [0, 1]) {
      const elsewhere = runAttackTasks([task('elsewhere')], {
        workers,
        engine: { device: 'no-such-device', threads: 1 },
        onResult: async () => undefined,
      });
      await expect(elsewhere, `${workers} workers`).rejects.toThrow('no-such-device');
    }
  });

  it.each([0, 1])('end with the error of a bad task, %i workers', async (workers) => {
    const bad = [task('bad', { start: { kind: 'model', path: join(root, 'nothing') } })];
    const failed = runAttackTasks(bad, { workers, onResult: async () => undefined });
    await expect(failed).rejects.toThrow(InputError);
    await expect(failed).rejects.toThrow('expected a model directory, found nothing');
  });

  it.each([0, 1])('say how far a trial is, and end soon after an interruption, %i workers', async (workers) => {
    const controller = new AbortController();
    const long = [task('long', { steps: 100_000, perClass: undefined })];
    let steps = 0;
    const onSteps = ({ id }: AttackTask, more: number) => {
      expect(id).toBe('long');
      steps += more;
      controller.abort();
    };
    // A hundred thousand steps would outlast the test's own limit.
    await expect(
      runAttackTasks(long, { workers, signal: controller.signal, onSteps, onResult: async () => undefined }),
    ).rejects.toThrow(InterruptedError);
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(100_000);
  });
});

describe('ranked', () => {
  it('puts fewest steps to the target first, then best scores', () => {
    const trial = (learningRate: number, score: number, cost?: number): Trial => ({
      learningRate,
      score,
      cost,
      seed: 0,
      evaluations: 0,
      curve: [],
      metrics: {},
      end: 'budget',
    });
    const order = ranked([trial(1, 0.9), trial(2, 0.95, 80), trial(3, 0.99), trial(4, 0.951, 40)]);
    expect(order.map(({ learningRate }) => learningRate)).toEqual([4, 2, 3, 1]);
  });
});

it('curves are measured at the same steps for every trial, the last at the budget', () => {
  for (const steps of [1, 3, 40, 240, 1000]) {
    const grid = evaluationSteps(steps);
    expect(grid.at(-1)).toBe(steps);
    expect(grid.toSorted((a, b) => a - b)).toEqual(grid);
  }
  expect(evaluationSteps(40, 1.15, 8)).toEqual([8, 16, 24, 32, 40]);
});
