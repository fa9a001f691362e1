import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FolderStore, type JobState, type QueuedJob } from '../../queue/index.js';
import { Findings, type FoundJob } from './found.js';
import type { NamedJob } from './job.js';
import { SweepJobs } from './jobs.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-jobs-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const job = (name: string): NamedJob =>
  ({ digest: Buffer.from(name).toString('hex').padEnd(64, '0'), text: name, job: {} }) as unknown as NamedJob;
const trial = { learningRate: 0.1, seed: 1, curve: [], metrics: {}, score: Number.NaN, evaluations: 2 };
const found: FoundJob = {
  kind: 'search',
  result: { search: [], learningRate: 0.1, trials: [{ ...trial, end: 'budget' }] },
  seconds: [Number.NaN],
};

/** Jobs with a queue whose states come from a script. */
async function jobsWith(folder: string, states: (job: QueuedJob, asked: number) => JobState | Promise<JobState>) {
  const findings = new Findings(await FolderStore.open(join(root, folder)));
  const added: string[] = [];
  const asked = new Map<string, number>();
  const byDigest = new Map<string, QueuedJob>();
  const troubles: string[] = [];
  const stop = new AbortController();
  const jobs = new SweepJobs({
    findings,
    everyMs: 1,
    signal: stop.signal,
    onChange: () => undefined,
    onTrouble: (text) => troubles.push(text),
    queue: {
      add: async (some) => {
        for (const each of some) byDigest.set(each.digest, each);
        added.push(...some.map(({ text }) => text));
      },
      states: async (digests) => {
        const all = digests.map(async (digest): Promise<[string, JobState]> => {
          asked.set(digest, (asked.get(digest) ?? 0) + 1);
          const of = byDigest.get(digest);
          if (!of) throw new Error('asked for what was never added');
          return [digest, await states(of, asked.get(digest) ?? 0)];
        });
        return new Map(await Promise.all(all));
      },
    },
  });
  const watching = jobs.watch(stop.signal);
  const end = () => {
    stop.abort();
    return watching;
  };
  return { jobs, findings, added, troubles, end };
}

it('what lies in the store is found without the queue, numbers that JSON lacks too', async () => {
  const { jobs, findings, added, end } = await jobsWith('there', () => ({ state: 'waiting' }));
  await findings.keep(job('there').digest, found);
  expect(await jobs.find(job('there'), 'there')).toEqual(found);
  expect(jobs.list).toEqual([{ name: 'there', digest: job('there').digest, state: 'done' }]);
  await end();
  expect(added).toEqual([]);
});

it('a job is put in once, again where the queue forgot it, and found when it is done', async () => {
  const given = await jobsWith('queue', async ({ digest }, asked) => {
    if (asked < 3) return { state: 'active' };
    if (asked === 3) return { state: 'gone' };
    await given.findings.keep(digest, found);
    return { state: 'done' };
  });
  const both = [given.jobs.find(job('a'), 'a'), given.jobs.find(job('a'), 'a')];
  expect(await Promise.all(both)).toEqual([found, found]);
  await given.end();
  expect(given.added).toEqual(['a', 'a']);
  expect(given.troubles).toEqual([]);
});

it('a job that failed, or of which nothing is ever found, is said to have failed; others go on', async () => {
  const given = await jobsWith('failing', async ({ text, digest }) => {
    if (text === 'bad') return { state: 'failed', message: 'out of memory' };
    if (text === 'never') return { state: 'failed', message: 'no such layer', impossible: true };
    if (text === 'good') await given.findings.keep(digest, found);
    return { state: 'done' };
  });
  const ends = await Promise.allSettled(
    ['bad', 'elsewhere', 'good', 'never'].map((name) => given.jobs.find(job(name), name)),
  );
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'rejected']);
  const errors = ends.map((end) => (end.status === 'rejected' ? end.reason.name : undefined));
  expect(errors).toEqual(['WeightlockError', 'WeightlockError', undefined, 'InputError']);
  expect(given.jobs.list.map(({ state, message }) => [state, message])).toEqual([
    ['failed', 'out of memory'],
    ['failed', expect.stringMatching(/failing has nothing of it: do all work in the same place\?$/)],
    ['done', undefined],
    ['failed', 'no such layer'],
  ]);
  await given.end();
  expect(given.added.filter((text) => text === 'elsewhere')).toHaveLength(3);
});

it('a file that is none of ours fails its job, and names the key', async () => {
  const { jobs, findings, end } = await jobsWith('foreign', () => ({ state: 'waiting' }));
  await findings.store.keep(`results/${job('x').digest}.json`, '{"kind":"search","result":{},"seconds":[]}');
  await expect(jobs.find(job('x'), 'x')).rejects.toThrow(/results\/78.*\.json: result\.search: /);
  expect(jobs.list[0]).toMatchObject({ state: 'failed' });
  await end();
});
