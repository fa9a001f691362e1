import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AttackTask, SearchResult, Trial } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { WeightlockError } from '../../registry/index.js';
import { type SearchPart, SplitSearch } from './split-search.js';

let root: string;
let folder: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-split-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'run-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const rate = 0.03;
const trial = (seed: number, score = seed / 10, learningRate = rate): Trial => ({
  ...{ learningRate, seed, score, metrics: {}, evaluations: 4, end: 'budget' },
  curve: [{ step: 4, score }],
});
const failed = (seed: number): Trial => ({
  ...{ learningRate: rate, seed, score: Number.NaN, metrics: {}, evaluations: 0, end: 'failed', failure: 'no memory' },
  curve: [],
});
const task: AttackTask = {
  ...{ id: 'one', start: { kind: 'model', path: 'm' }, optimizer: { name: 'sgd' }, data: dataSpec.parse({}) },
  ...{ steps: 4, batchSize: 2, budget: { decades: [-1, -2], searchSeeds: [11], seeds: [1, 2, 3] } },
};
const searched: SearchResult = { search: [trial(11), trial(11, 0.2, 0.1)], learningRate: rate, trials: [] };
const of = (seed: number): SearchResult => ({ search: [], learningRate: rate, trials: [trial(seed)], constant: 0.5 });
const open = async (own = task) => {
  const search = new SplitSearch(own, 'key', { checkpointPath: (name) => join(folder, name) });
  return { search, known: await search.open() };
};
const partial = async () => JSON.parse(await readFile(join(folder, 'attack-one-key.trials.json'), 'utf8')) as Trial[];

/** Does what is searched. */
async function search(): Promise<{ split: SplitSearch; parts: readonly SearchPart[] }> {
  const { search: split } = await open();
  const [first, ...others] = split.begin();
  expect(others).toEqual([]);
  expect(first.task.budget.seeds).toEqual([]);
  for (const [index, one] of searched.search.entries()) await first.onTrial(one, index, index + 1);
  const { parts = [] } = await first.onResult(searched);
  expect(parts.map((part) => part.task.budget)).toEqual(
    [1, 2, 3].map((seed) => ({ ...task.budget, at: { learningRate: rate }, seeds: [seed] })),
  );
  return { split, parts };
}

describe('a search in parts', () => {
  it('has its seeds in their order, however they end, each with its seconds', async () => {
    const { split, parts } = await search();
    expect(split.width).toBe(3);
    for (const index of [2, 0]) {
      await parts[index].onTrial(trial(index + 1), 0, 10 * (index + 1));
      expect(await parts[index].onResult(of(index + 1))).toEqual({});
    }
    expect((await partial()).map(({ seed }) => seed)).toEqual([11, 11, 3, 1]);
    await parts[1].onTrial(trial(2), 0, 20);
    const { found } = await parts[1].onResult(of(2));
    const result = { ...searched, trials: [trial(1), trial(2), trial(3)], constant: 0.5 };
    expect(found).toEqual({ result, seconds: [1, 2, 10, 20, 30] });
    expect(await readdir(folder)).toEqual(['attack-one-key.json']);
    expect((await open()).known).toEqual(found);
  });

  it('hands each part its own trials of an interrupted run', async () => {
    const { parts } = await search();
    await Promise.all([parts[2].onTrial(trial(3), 0, 30), parts[1].onTrial(trial(2), 0, 20)]);
    const { search: again } = await open();
    expect(again.done).toBe(4);
    const [first] = again.begin();
    expect(first.finished().slice(0, 2)).toEqual(searched.search);
    const { parts: later = [] } = await first.onResult(searched);
    expect(later.map((part) => part.finished())).toEqual([[], [trial(2)], [trial(3)]]);
  });

  it('keeps a seed that failed beside others that did not', async () => {
    const { parts } = await search();
    for (const seed of [1, 3]) {
      await parts[seed - 1].onTrial(trial(seed), 0, seed);
      await parts[seed - 1].onResult(of(seed));
    }
    await parts[1].onTrial(failed(2), 0, 2);
    const { found, error } = await parts[1].onFailure(new WeightlockError('no memory'));
    expect(error).toBeUndefined();
    expect(found?.result.trials.map(({ end }) => end)).toEqual(['budget', 'failed', 'budget']);
  });

  it('fails where a process was lost, and where nothing was measured', async () => {
    const { parts } = await search();
    await parts[0].onTrial(trial(1), 0, 1);
    await parts[0].onResult(of(1));
    await parts[1].onFailure(new WeightlockError('the worker process ended early'));
    const after = await parts[2].onResult(of(3));
    expect(after.error?.message).toBe('the worker process ended early');
    // What was measured is there when it is tried again.
    expect((await partial()).map(({ seed }) => seed)).toEqual([11, 11, 1]);

    folder = await mkdtemp(join(root, 'run-'));
    const { search: only } = await open({ ...task, budget: { ...task.budget, decades: [-1], refine: false } });
    const seeds = only.begin();
    expect(seeds.map((part) => part.task.budget.at)).toEqual(Array(3).fill({ learningRate: 0.1 }));
    for (const [index, part] of seeds.entries()) {
      await part.onTrial({ ...failed(index + 1), learningRate: 0.1 }, 0, 1);
      const { error, found } = await part.onFailure(new WeightlockError('no memory'));
      expect(found).toBeUndefined();
      expect(error?.message).toBe(index === 2 ? 'no memory' : undefined);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('is one part where it has one seed, or fits a classifier', async () => {
    for (const own of [
      { ...task, budget: { ...task.budget, seeds: [1] } },
      { ...task, trained: { name: 'none' } },
    ] as AttackTask[]) {
      const { search: split } = await open(own);
      expect(split.width).toBe(1);
      expect(split.begin().map((part) => part.task)).toEqual([own]);
    }
  });

  it('goes on where a version ended that ran one seed after the other', async () => {
    const done = [...searched.search, trial(1)].map((one) => ({ ...one, seconds: 1 }));
    await writeFile(join(folder, 'attack-one-key.trials.json'), JSON.stringify(done));
    const { search: split } = await open();
    const { parts = [] } = await split.begin()[0].onResult(searched);
    expect(parts.map((part) => part.finished())).toEqual([[trial(1)], [], []]);
  });
});
