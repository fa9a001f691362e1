import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import type { TakenJob } from './queue.js';
import { work } from './work.js';

/** A queue in memory that writes down what it hears. */
function memoryQueue(count: number) {
  const waiting = Array.from({ length: count }, (_, index) => ({
    id: `${index}`,
    attempt: 0,
    failures: 0,
    data: index,
  }));
  const heard = { done: [] as string[], failed: [] as string[], back: [] as string[], kept: 0 };
  const lost = new Set<string>();
  return {
    heard,
    lost,
    waiting,
    leaseSeconds: 0.04,
    take: async (most: number) => waiting.splice(0, most) as TakenJob[],
    keep: async (jobs: readonly TakenJob[]) => {
      heard.kept++;
      return new Set(jobs.map(({ id }) => id).filter((id) => !lost.has(id)));
    },
    done: async (jobs: readonly TakenJob[]) => void heard.done.push(...jobs.map(({ id }) => id)),
    fail: async ({ id }: TakenJob, message: string, again: boolean) =>
      void heard.failed.push(`${id} ${message} ${again}`),
    giveBack: async (jobs: readonly TakenJob[]) => void heard.back.push(...jobs.map(({ id }) => id)),
  };
}

/** Ends a job when its signal does. */
const untilStopped = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describe('work', () => {
  it('does all jobs, as many at once as it may, and says which failed for good', async () => {
    const queue = memoryQueue(20);
    const stop = new AbortController();
    let [at, most, ended] = [0, 0, 0];
    await work(queue, {
      slots: 3,
      signal: stop.signal,
      idleMs: 5,
      run: async (data) => {
        most = Math.max(most, ++at);
        await new Promise((resolve) => setTimeout(resolve, 2));
        at--;
        if (data === 7) throw new Error('bad luck');
        if (data === 8) throw new InputError('no job');
      },
      onEnd: () => {
        if (++ended === 20) stop.abort();
      },
    });
    expect(most).toBe(3);
    expect(queue.heard.done.map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index).filter((index) => index !== 7 && index !== 8),
    );
    expect(queue.heard.failed).toEqual(['7 bad luck true', '8 no job false']);
    expect(queue.heard.back).toEqual([]);
  });

  it('gives back what it is at when it is stopped', async () => {
    const queue = memoryQueue(3);
    const stop = new AbortController();
    const working = work(queue, {
      slots: 2,
      signal: stop.signal,
      idleMs: 5,
      run: async (_, signal) => {
        setTimeout(() => stop.abort(), 5);
        await untilStopped(signal);
      },
    });
    await working;
    expect(queue.heard).toMatchObject({ done: [], failed: [], back: ['0', '1'] });
    expect(queue.waiting).toHaveLength(1);
  });

  it('lets go of a job that has become another worker’s, and does not give it back', async () => {
    const queue = memoryQueue(1);
    const stop = new AbortController();
    queue.lost.add('0');
    await work(queue, {
      slots: 1,
      signal: stop.signal,
      idleMs: 5,
      run: async (_, signal) => {
        await untilStopped(signal).finally(() => setTimeout(() => stop.abort(), 5));
      },
    });
    expect(queue.heard).toMatchObject({ done: [], failed: [], back: [] });
    expect(queue.heard.kept).toBeGreaterThan(0);
  });

  it('goes on where the queue does not answer, and says so', async () => {
    const queue = memoryQueue(4);
    const stop = new AbortController();
    const troubles: string[] = [];
    let calls = 0;
    const breaking = {
      ...queue,
      take: async (most: number) => {
        if (calls++ % 2 === 0) throw new Error('connection refused');
        return queue.take(most);
      },
      done: async (jobs: readonly TakenJob[]) => {
        if (calls++ % 2 === 0) throw new Error('connection reset');
        await queue.done(jobs);
        if (queue.heard.done.length === 4) stop.abort();
      },
    };
    await work(breaking, {
      slots: 1,
      signal: stop.signal,
      idleMs: 1,
      run: async () => undefined,
      onTrouble: (text) => troubles.push(text),
    });
    expect(queue.heard.done.sort()).toEqual(['0', '1', '2', '3']);
    expect(new Set(troubles)).toContain('queue: connection refused; trying again');
  });
});
