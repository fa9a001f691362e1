import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { JobQueue, type QueuedJob } from './queue.js';

// One database for all: to make it takes most of the time.
let queue: JobQueue;
beforeAll(async () => {
  queue = await JobQueue.open({ name: 'test', leaseSeconds: 1 });
});
afterAll(() => queue.close());

const job = (number: number): QueuedJob => ({
  digest: number.toString(16).padStart(32, '0').padEnd(64, 'f'),
  text: `job ${number}`,
});
const state = async ({ digest }: QueuedJob) => (await queue.states([digest])).get(digest);
const takeOne = async () => (await queue.take(1))[0];
/** Waits until there is a job: the next attempt begins a second after a failure. */
const takeNext = async () => {
  for (;;) {
    const taken = await takeOne();
    if (taken) return taken;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

it('a job that is put in twice is one, and is not handed out twice', async () => {
  const [a, b] = [job(1), job(2)];
  expect(await state(a)).toEqual({ state: 'gone' });
  await queue.add([a, b]);
  await queue.add([a]);
  const taken = await queue.take(5);
  expect(taken.map(({ data }) => data)).toEqual(expect.arrayContaining([a, b]));
  expect(taken).toHaveLength(2);
  await queue.add([a, b]);
  expect(await queue.take(5)).toEqual([]);
  expect(await state(a)).toEqual({ state: 'active' });
  await queue.done(taken);
  expect(await state(a)).toEqual({ state: 'done' });
  // One that has ended is done anew when somebody asks for it again.
  await queue.add([a]);
  expect(await state(a)).toEqual({ state: 'waiting' });
  await queue.done([await takeOne()]);
});

it('leaves nothing that would keep the process from ending where the queue cannot be made', async () => {
  const [begun, ended] = [vi.spyOn(globalThis, 'setInterval'), vi.spyOn(globalThis, 'clearInterval')];
  try {
    // The database is there, and refuses the name.
    await expect(JobQueue.open({ name: '!' })).rejects.toThrow(/^embedded queue: expected a database, /);
    const intervals = begun.mock.results.map(({ value }) => value);
    expect(intervals.length).toBeGreaterThan(0);
    const cleared = ended.mock.calls.map(([interval]) => interval);
    for (const interval of intervals) expect(cleared).toContain(interval);
  } finally {
    begun.mockRestore();
    ended.mockRestore();
  }
});

it('what fails is tried three times, and not again where that is no use', async () => {
  const [flaky, wrong] = [job(3), job(4)];
  await queue.add([flaky]);
  for (let attempt = 0; attempt < 3; attempt++) {
    const taken = await takeNext();
    expect(taken).toMatchObject({ attempt, failures: attempt, data: flaky });
    await queue.fail(taken, 'no luck', true);
    expect((await state(flaky))?.state).toBe(attempt < 2 ? 'waiting' : 'failed');
  }
  expect(await state(flaky)).toEqual({ state: 'failed', message: 'no luck' });
  await queue.add([wrong]);
  await queue.fail(await takeOne(), 'not a job', false);
  expect(await state(wrong)).toEqual({ state: 'failed', message: 'not a job', impossible: true });
});

it('a job that is given back is as good as new', async () => {
  const back = job(5);
  await queue.add([back]);
  await queue.giveBack([await takeOne()]);
  const again = await takeOne();
  expect(again).toMatchObject({ data: back, attempt: 0 });
  await queue.done([again]);
});

it('a job whose worker is not heard of is given to another, and the first one learns that it is not his', async () => {
  const shared = job(6);
  await queue.add([shared]);
  const first = await takeOne();
  // For longer than the lease of one second.
  for (let beat = 0; beat < 4; beat++) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await queue.keep([first])).toEqual(new Set([first.id]));
  }
  expect(await queue.take(1)).toEqual([]);
  const second = await takeNext();
  expect(second).toMatchObject({ id: first.id, attempt: 1, failures: 0 });
  expect(await queue.keep([first])).toEqual(new Set());
  // Nor can he end it.
  await queue.fail(first, 'late', false);
  await queue.giveBack([first]);
  expect(await state(shared)).toEqual({ state: 'active' });
  expect(await queue.keep([second])).toEqual(new Set([second.id]));
  // A lost worker is none of its three tries.
  for (const failures of [1, 2, 3]) {
    await queue.fail(failures === 1 ? second : await takeNext(), 'no luck', true);
    expect((await state(shared))?.state).toBe(failures < 3 ? 'waiting' : 'failed');
  }
});
