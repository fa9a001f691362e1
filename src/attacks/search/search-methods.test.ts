import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { InputError, InterruptedError } from '../../registry/index.js';
import { Evaluator } from '../../training/index.js';
import {
  AttackRunner,
  type AttackTask,
  type Candidate,
  keyOf,
  optionsAt,
  ranked,
  rungsOf,
  type SearchResult,
  type SearchSpace,
  searchLearningRate,
  sobolCandidates,
  stepsOfHalving,
  successiveHalving,
  type Trial,
  trialCount,
} from '../index.js';

const space: SearchSpace = {
  learningRate: { kind: 'log', low: 1e-4, high: 1e-1 },
  batchSize: { kind: 'choice', values: [4, 8] },
  schedule: { kind: 'choice', values: ['constant', 'cosine'] },
  weightDecay: { kind: 'log', low: 1e-3, high: 1 },
};

describe('sobolCandidates', () => {
  it('spread over ranges on a logarithmic scale, and over choices, evenly', () => {
    const found = sobolCandidates(space, 16, 7);
    const decades = found.map(({ learningRate }) => Math.floor((16 * (Math.log10(learningRate) + 4)) / 3));
    expect(decades.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i));
    for (const value of [4, 8]) expect(found.filter(({ point }) => point?.batchSize === value)).toHaveLength(8);
    expect(found.filter(({ point }) => point?.schedule === 'cosine')).toHaveLength(8);
    expect(sobolCandidates(space, 16, 7)).toEqual(found);
    expect(sobolCandidates(space, 16, 8)).not.toEqual(found);
  });

  it('refuse a space without learning rates, and a range or choice of nothing', () => {
    expect(() => sobolCandidates({ batchSize: space.batchSize }, 2, 1)).toThrow('expected a range of learning rates');
    const of = (more: SearchSpace) => () => sobolCandidates({ ...space, ...more }, 2, 1);
    expect(of({ schedule: { kind: 'choice', values: [] } })).toThrow('something to choose of schedule');
    expect(of({ weightDecay: { kind: 'log', low: 0, high: 1 } })).toThrow('a range of weightDecay above 0');
  });

  it('go into the options of a trial', () => {
    const setting = { batchSize: 32, optimizer: { name: 'adamw', options: { eps: 1e-6 } } };
    const point = { batchSize: 4, schedule: 'cosine', weightDecay: 0.1 };
    expect(optionsAt(setting, point)).toEqual({
      batchSize: 4,
      countedBatch: 32,
      optimizer: { name: 'adamw', options: { eps: 1e-6, weightDecay: 0.1 }, schedule: { name: 'cosine' } },
    });
    expect(optionsAt(setting)).toEqual(setting);
    expect(optionsAt(setting, { batchSize: 16, accumulate: 4 })).toEqual({
      ...setting,
      ...{ batchSize: 64, accumulate: 4, countedBatch: 32 },
    });
    expect(optionsAt(setting, { batchSize: 32 })).toEqual(setting);
  });
});

describe('successiveHalving', () => {
  it('compares at a quarter of the steps each time, of whole trials at the end', () => {
    expect(rungsOf(16, 240, 4)).toEqual([15, 60, 240]);
    expect(rungsOf(16, 40, 4)).toEqual([4, 10, 40]);
    expect(rungsOf(16, 8, 4)).toEqual([4, 8]);
    expect(rungsOf(3, 100, 1)).toEqual([25, 100]);
    // 16 of 15 steps, 4 of 45 more, 1 of 180 more.
    expect(stepsOfHalving(16, 240, 4)).toBe(16 * 15 + 4 * 45 + 180);
  });

  /** Trials whose score after some steps is a function of their rate; how far each came. */
  async function halve(rates: readonly number[], scoreOf: (rate: number, step: number) => number, most = Infinity) {
    const rungs = rungsOf(rates.length, 64, 1);
    const ended = new Map<number, number>();
    const waiting = { now: 0, most: 0, computing: 0 };
    await successiveHalving({
      candidates: rates.map((learningRate) => ({ learningRate })),
      rungs,
      rank: (trials) => trials.toSorted((a, b) => b.score - a.score),
      begin: async ({ learningRate }, wait) => {
        let step = 0;
        for (const rung of rungs) {
          expect(++waiting.computing).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          waiting.computing--;
          step = Math.min(rung, most);
          if (rung === 64 || step === most) break;
          waiting.most = Math.max(waiting.most, ++waiting.now);
          const goesOn = await wait({ step, score: scoreOf(learningRate, step) });
          waiting.now--;
          if (!goesOn) break;
        }
        ended.set(learningRate, step);
        return { learningRate, score: scoreOf(learningRate, step) } as Trial;
      },
    });
    return { ended, waiting };
  }

  it('lets a quarter go on each time, the best ones, one computing at a time and few waiting', async () => {
    const rates = [5, 11, 3, 16, 2, 9, 14, 1, 7, 13, 4, 15, 6, 12, 8, 10];
    const { ended, waiting } = await halve(rates, (rate) => rate);
    expect([...ended].toSorted(([a], [b]) => b - a).map(([, step]) => step)).toEqual([
      64,
      16,
      16,
      16,
      ...Array(12).fill(4),
    ]);
    expect(waiting).toEqual({ now: 0, most: 5, computing: 0 });
    // What is better early need not be later: it is judged by what is known at each rung.
    const late = await halve([1, 2, 3, 4], (rate, step) => (step < 64 ? rate : -rate));
    expect(late.ended.get(4)).toBe(64);
  });

  it('takes trials that end by themselves as they are', async () => {
    const { ended } = await halve([1, 2, 3, 4, 5, 6, 7, 8], (rate) => rate, 4);
    expect(new Set(ended.values())).toEqual(new Set([4]));
    expect(ended.size).toBe(8);
  });
});

describe('searches', () => {
  let root: string;
  let released: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'weightlock-search-'));
    released = join(root, 'model');
    await saveModel(released, initializeModel('mlp', { num_labels: 2, hidden_sizes: [8] }, 1));
  });
  afterAll(() => rm(root, { recursive: true }));

  const task = (name: 'sobol' | 'asha', trials = 8): AttackTask => ({
    id: name,
    start: { kind: 'model', path: released },
    optimizer: { name: 'adamw' },
    data: dataSpec.parse({ classes: [2, 3], testLimit: 40 }),
    perClass: 5,
    steps: 32,
    batchSize: 8,
    giveUpBelow: -1,
    budget: { method: { name, trials, space }, decades: [-2], searchSeeds: [7, 8], seeds: [1, 2] },
  });

  it.each(['sobol', 'asha'] as const)(
    'by %s try the same candidates, and report the best with fresh seeds',
    async (name) => {
      const runner = new AttackRunner();
      const found = await runner.run(task(name));
      const { search, trials, learningRate, point } = found;
      const { budget } = task(name);
      expect(search.length + trials.length).toBe(trialCount(budget));
      const wanted = sobolCandidates(space, 8, 7).map((candidate) => keyOf({ ...candidate, seed: 7 }));
      expect(
        search
          .filter(({ seed }) => seed === 7)
          .map(keyOf)
          .sort(),
      ).toEqual(wanted.sort());
      expect(search.filter(({ seed }) => seed === 8)).toHaveLength(2);
      expect(trials.map((trial) => [trial.seed, trial.learningRate, trial.point])).toEqual([
        [1, learningRate, point],
        [2, learningRate, point],
      ]);
      // Halving: 8 of 4 steps of 8 examples, 2 of them go on to 8, one to 32.
      if (name === 'asha') {
        const samples = search.filter(({ seed }) => seed === 7).map(({ spent }) => Number(spent?.samples) / 8);
        expect(samples.toSorted((a, b) => a - b)).toEqual([...Array(6).fill(4), 8, 32]);
      } else {
        // Batches of 4 take twice as many steps: all have as many examples.
        expect(new Set(search.map(({ spent }) => spent?.samples))).toEqual(new Set([32 * 8]));
        for (const { point, spent, curve } of search) {
          expect(spent?.steps).toBe(point?.batchSize === 4 ? 64 : 32);
          expect(curve.at(-1)?.step).toBe(32);
        }
      }
      await runner.release();
    },
  );

  it.each(['sobol', 'asha'] as const)('by %s go on after an interruption, with the same bits', async (name) => {
    const runner = new AttackRunner();
    const whole = await runner.run(task(name, 6));
    for (const stopAfter of [1, 4, 7]) {
      const done: Trial[] = [];
      const controller = new AbortController();
      const log = {
        onTrial: (trial: Trial, index: number) => {
          done.splice(index, done.length, trial);
          if (done.length === stopAfter) controller.abort();
        },
        signal: controller.signal,
      };
      await expect(runner.run(task(name, 6), log)).rejects.toThrow(InterruptedError);
      let more = 0;
      const resumed = await runner.run(task(name, 6), {
        finished: [...done],
        onTrial: (trial, index) => {
          more++;
          done.splice(index, done.length, trial);
        },
      });
      expect(resumed, `${stopAfter}`).toEqual(whole);
      expect(more).toBe(trialCount(task(name, 6).budget) - stopAfter);
      expect(done).toHaveLength(trialCount(task(name, 6).budget));
    }
    await runner.release();
  });

  it('measure weights that several trials begin with once', async () => {
    const measured = vi.spyOn(Evaluator.prototype, 'evaluate');
    const runner = new AttackRunner();
    const { search, trials } = await runner.run(task('sobol', 3));
    await runner.release();
    const all = [...search, ...trials];
    const [begins] = all.map(({ curve: [{ score }] }) => score);
    expect(all.map(({ curve: [first] }) => first)).toEqual(all.map(() => ({ step: 0, score: begins })));
    const points = all.reduce((sum, { curve }) => sum + curve.length, 0);
    expect(measured).toHaveBeenCalledTimes(points - (all.length - 1));
  });

  it('go on where a trial fails, and end where all do', async () => {
    const runner = new AttackRunner();
    const failing = (fails: (seed: number) => boolean) => {
      const setting = (seed: number) => {
        if (!started || !fails(seed)) return base(seed);
        // Neither what a program nor what a user did wrongly ends the others.
        throw new (seed === 8 ? InputError : TypeError)(`no memory for seed ${seed}`);
      };
      let started = false;
      return (seed: number) => {
        const given = setting(seed);
        started = true;
        return given;
      };
    };
    let base: Parameters<typeof searchLearningRate>[0] = () => Promise.reject(new Error('not set'));
    const { trainedParts } = await import('../index.js');
    const all = trainedParts.get('all');
    const budget = { decades: [-2, -3], refine: false, searchSeeds: [7, 8], seeds: [1, 2] };
    let found: SearchResult | undefined;
    let again: SearchResult | undefined;
    let message = '';
    trainedParts.register({
      ...all,
      name: 'failing',
      search: async ({ model, prepared, train, optimizer, shared, programs, evaluator }) => {
        base = async (seed) => ({
          ...shared,
          evaluator,
          model,
          weights: (await prepared(seed, undefined)).weights,
          train: train(seed),
          optimizer,
          programs,
        });
        const failed: Trial[] = [];
        const keep = (trial: Trial) => void failed.push(trial);
        await searchLearningRate(
          failing(() => true),
          budget,
          { onTrial: keep },
        ).catch((error: Error) => {
          message = `${error.name}: ${error.message}`;
        });
        again = await searchLearningRate(
          failing(() => false),
          budget,
          { finished: failed },
        );
        found = await searchLearningRate(
          failing((seed) => seed === 8 || seed === 2),
          budget,
        );
        return found;
      },
    });
    await runner.run({ ...task('sobol'), trained: { name: 'failing' }, budget });
    expect(message).toBe('WeightlockError: no memory for seed 7');
    const ends = (trials: readonly Trial[] = []) => trials.map(({ end, failure }) => failure ?? end);
    expect(ends(found?.search)).toEqual(['budget', 'budget', 'no memory for seed 8', 'no memory for seed 8']);
    expect(ends(found?.trials)).toEqual(['budget', 'no memory for seed 2']);
    // A search that failed is tried again whole.
    expect(new Set(ends([...(again?.search ?? []), ...(again?.trials ?? [])]))).toEqual(new Set(['budget']));
    // Not a score of nothing: it is not known.
    expect(found?.trials[1].score).toBeNaN();
    expect(ranked([...(found?.search ?? []), { score: -1 }]).at(-3)?.score).toBe(-1);
    await runner.release();
  });
});

it('a candidate is known by all that it varies', () => {
  const a: Candidate = { learningRate: 0.1 };
  expect(keyOf(a)).toBe(keyOf({ ...a, point: undefined }));
  expect(keyOf(a)).not.toBe(keyOf({ ...a, point: { batchSize: 4 } }));
});
