import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  AttackRunner,
  type AttackTask,
  isMeasuredTrial,
  type SearchResult,
  trainedParts,
} from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { FolderStore } from '../../queue/index.js';
import { Findings } from './found.js';

let root: string;
let task: AttackTask;
const runner = new AttackRunner();

/** Which trials of the part `fragile` fail, by their place in one run. */
let fails: (trial: number) => boolean = () => false;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-found-'));
  const path = join(root, 'model');
  await saveModel(path, initializeModel('mlp', { num_labels: 2, hidden_sizes: [6] }, 1));
  const all = trainedParts.get('all');
  trainedParts.register({
    ...all,
    name: 'fragile',
    search: (context, options) => {
      // The first time that weights are asked for is before the first trial.
      let asked = -1;
      const prepared: typeof context.prepared = (...at) => {
        if (asked++ >= 0 && fails(asked - 1)) throw new TypeError('no memory');
        return context.prepared(...at);
      };
      return all.search({ ...context, prepared }, options);
    },
  });
  task = {
    id: 'fragile',
    start: { kind: 'model', path },
    trained: { name: 'fragile' },
    optimizer: { name: 'adamw' },
    data: dataSpec.parse({ classes: [2, 3], testLimit: 40 }),
    ...{ perClass: 5, steps: 8, batchSize: 8, giveUpBelow: -1 },
    budget: { decades: [-2, -3], searchSeeds: [7, 8], seeds: [1, 2] },
  };
});
beforeEach(() => {
  fails = () => false;
});
afterAll(async () => {
  await runner.release();
  await rm(root, { recursive: true, force: true });
});

describe('the trials of a search in a store', () => {
  const digest = 'ab'.repeat(32);
  const findingsIn = async (name: string) => new Findings(await FolderStore.open(join(root, name)));
  /** Does the search as a worker does, killed when it has kept so many trials more. */
  async function search(findings: Findings, { killedAfter = Number.POSITIVE_INFINITY } = {}) {
    const trials = await findings.searchTrials(digest);
    const stop = new AbortController();
    let kept = 0;
    const result = await runner
      .run(task, {
        finished: trials.finished,
        signal: stop.signal,
        onTrial: async (trial, index, seconds) => {
          await trials.keep(index, { ...trial, seconds });
          if (++kept >= killedAfter) stop.abort();
        },
      })
      .catch((error: Error) => error.name);
    return { result, kept };
  }
  const found = async (findings: Findings) => (await findings.searchTrials(digest)).finished;

  it('are those of the retry where all of the first round failed, also where that was killed', async () => {
    const whole = await search(await findingsIn('whole'));
    expect(whole.result).toMatchObject({ learningRate: expect.any(Number) });
    for (const killedAfter of [1, 3, 4, 5]) {
      const findings = await findingsIn(`killed-${killedAfter}`);
      fails = () => true;
      expect((await search(findings)).result).toBe('WeightlockError');
      // Of rates that all failed there is no best to search beside.
      expect((await found(findings)).map(({ end }) => end)).toEqual(['failed', 'failed']);
      fails = () => false;
      expect((await search(findings, { killedAfter })).result).toBe('InterruptedError');
      const between = await found(findings);
      expect(between).toHaveLength(killedAfter);
      expect(between.every(isMeasuredTrial)).toBe(true);
      const resumed = await search(findings);
      expect(resumed.result).toEqual(whole.result);
      expect(resumed.kept).toBe(whole.kept - killedAfter);
      expect(await found(findings)).toHaveLength(whole.kept);
    }
  });

  it('that an older version left, failed ones before others of the retry, are all done again', async () => {
    const clean = await findingsIn('clean');
    const whole = await search(clean);
    const findings = await findingsIn('mixed');
    const { finished } = await clean.searchTrials(digest);
    const mixed = await findings.searchTrials(digest);
    for (const [index, trial] of finished.entries()) {
      const stale = { ...trial, curve: [], score: Number.NaN, end: 'failed' as const, failure: 'no memory' };
      await mixed.keep(index, { ...(index < 4 ? stale : trial), seconds: 1 });
    }
    const resumed = await search(findings);
    expect(resumed.result).toEqual(whole.result);
    expect((await found(findings)).every(isMeasuredTrial)).toBe(true);
  });

  it('stay where some of a round failed, which is a result', async () => {
    const findings = await findingsIn('some');
    fails = (trial) => trial === 0;
    const { result } = await search(findings, { killedAfter: 5 });
    expect(result).toBe('InterruptedError');
    fails = () => false;
    const resumed = await search(findings);
    expect(resumed.result).toMatchObject({ search: [{ end: 'failed' }, { end: 'budget' }, {}, {}, {}, {}] });
    expect(resumed.kept).toBe(3);
  });

  it('that failed are never chosen, not as the second best either', async () => {
    fails = (trial) => trial !== 1 && trial < 4;
    const { result } = await search(await findingsIn('one'));
    const tried = (result as SearchResult).search.map(({ seed, end }) => [seed, end === 'failed']);
    expect(tried).toEqual([
      [7, true],
      [7, false],
      [7, true],
      [7, true],
      [8, false],
    ]);
    expect(result).toMatchObject({ learningRate: 1e-3, trials: [{ end: 'budget' }, { end: 'budget' }] });
  });

  it('keep their seconds, and what another worker kept first', async () => {
    const findings = await findingsIn('seconds');
    const trials = await findings.searchTrials(digest);
    const [trial] = await found(await findingsIn('clean'));
    await trials.keep(0, { ...trial, seconds: 2 });
    const other = await findings.searchTrials(digest);
    await other.keep(1, { ...trial, seconds: 3 });
    await trials.keep(1, { ...trial, seconds: 4 });
    expect(trials.seconds).toEqual([2, 4]);
    expect((await findings.searchTrials(digest)).seconds).toEqual([2, 3]);
    await findings.forget(digest);
    expect(await found(findings)).toEqual([]);
  });
});
