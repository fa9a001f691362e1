import { setTimeout as wait } from 'node:timers/promises';
import { InputError, InterruptedError } from '../registry/index.js';
import type { JobQueue, TakenJob } from './queue.js';

/** Milliseconds that an end waits for others, each of which would cost two statements; a trial takes a hundred times as long. */
const together = 10;

/** What {@link work} needs to know. */
export interface WorkOptions {
  /** Jobs side by side. */
  readonly slots: number;
  /**
   * Does a job. What it found must be kept when it returns, where a second run of the same job finds it.
   *
   * @param signal - Aborted when the work is to end, or the job has become another worker's.
   * @throws InputError when no other attempt will go better.
   */
  run(data: unknown, signal: AbortSignal): Promise<void>;
  /** Ends the work; jobs that are not done are given back. */
  readonly signal: AbortSignal;
  /** Milliseconds between two looks at an empty queue; default 500. */
  readonly idleMs?: number;
  /** Hears of what went wrong on the way and is tried again. */
  readonly onTrouble?: (text: string) => void;
  /** Hears of every job that ended, and what it failed with. */
  readonly onEnd?: (job: TakenJob, failure?: string) => void;
}

/** Takes jobs from a queue and does them until the signal; the one loop of a sweep's own process and of its helpers elsewhere. */
export async function work(
  queue: Pick<JobQueue, 'take' | 'keep' | 'done' | 'fail' | 'giveBack' | 'leaseSeconds'>,
  { slots, run, signal, idleMs = 500, onTrouble, onEnd }: WorkOptions,
): Promise<void> {
  const active = new Map<TakenJob, AbortController>();
  const running = new Set<Promise<void>>();
  /** Done, but the queue has not heard of it. */
  let unsaid: TakenJob[] = [];
  let ring: () => void = () => undefined;
  const nextRing = () =>
    new Promise<void>((resolve) => {
      ring = resolve;
    });
  const trouble = (error: unknown) =>
    onTrouble?.(`queue: ${error instanceof Error ? error.message : String(error)}; trying again`);
  const take = async (count: number): Promise<TakenJob[]> => {
    try {
      return await queue.take(count);
    } catch (error) {
      trouble(error);
      return [];
    }
  };

  /** Says which jobs are done. Where nobody hears it, another worker takes them and finds what they found. */
  const report = async () => {
    const jobs = unsaid;
    unsaid = [];
    try {
      await queue.done(jobs);
    } catch (error) {
      trouble(error);
      unsaid = [...jobs, ...unsaid];
    }
  };
  const beat = async () => {
    try {
      if (unsaid.length > 0) await report();
      const jobs = [...active.keys()];
      if (jobs.length === 0) return;
      const own = await queue.keep(jobs);
      for (const job of jobs) if (!own.has(job.id)) active.get(job)?.abort(new InterruptedError('another has the job'));
    } catch (error) {
      trouble(error);
    }
  };
  const timer = setInterval(() => void beat(), (queue.leaseSeconds * 1000) / 4);
  const start = (job: TakenJob) => {
    const own = new AbortController();
    active.set(job, own);
    const ended = perform(job, AbortSignal.any([signal, own.signal])).finally(() => {
      active.delete(job);
      running.delete(ended);
      ring();
    });
    running.add(ended);
  };
  const perform = async (job: TakenJob, stop: AbortSignal) => {
    try {
      await run(job.data, stop);
      unsaid.push(job);
      onEnd?.(job);
    } catch (error) {
      if (stop.aborted) {
        // Another's job is not ours to give.
        if (signal.aborted) await queue.giveBack([job]).catch(trouble);
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      onEnd?.(job, message);
      await queue.fail(job, message, !(error instanceof InputError)).catch(trouble);
    }
  };

  const stopped = () => ring();
  signal.addEventListener('abort', stopped, { once: true });
  try {
    while (!signal.aborted) {
      const rung = nextRing();
      // Together, so that jobs of nothing cost two statements for all slots and not for each.
      if (unsaid.length > 0) await report();
      const free = slots - active.size;
      const taken = free > 0 ? await take(free) : [];
      for (const job of taken) start(job);
      if (taken.length > 0) {
        // Those of nothing have ended when all that is ready has run.
        await wait(0);
        if (active.size < slots) continue;
      }
      const pause = new AbortController();
      await Promise.race([rung, wait(idleMs, undefined, { signal: pause.signal }).catch(() => undefined)]);
      pause.abort();
      // Those that end at nearly the same time are said and replaced together.
      if (!signal.aborted && active.size > 0) await wait(together);
    }
  } finally {
    signal.removeEventListener('abort', stopped);
    await Promise.all(running);
    clearInterval(timer);
    if (unsaid.length > 0) await report();
  }
}
