import { setTimeout as wait } from 'node:timers/promises';
import type { JobQueue, JobState } from '../../queue/index.js';
import { InputError, InterruptedError, WeightlockError } from '../../registry/index.js';
import type { Findings, FoundJob } from './found.js';
import type { NamedJob } from './job.js';

/** How often a job that the queue calls done is put in again where nothing of it is found. */
const emptyHanded = 3;

/** A job of a sweep, for whoever watches it. */
export interface WatchedJob {
  /** Name for people. */
  readonly name: string;
  /** Names what it finds in the store. */
  readonly digest: string;
  /** How far it is. */
  state: 'waiting' | 'active' | 'done' | 'failed';
  /** Why it failed. */
  message?: string;
}

/** A job that is waited for. */
interface Pending {
  readonly job: NamedJob;
  readonly watched: WatchedJob;
  readonly found: PromiseWithEnds<FoundJob>;
  /** How often it was done and nothing found. */
  empty: number;
}

interface PromiseWithEnds<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Options of {@link SweepJobs}. */
export interface SweepJobsOptions {
  readonly findings: Findings;
  readonly queue: Pick<JobQueue, 'add' | 'states'>;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Milliseconds between two looks at the queue. */
  readonly everyMs: number;
  /** Hears of every change. */
  onChange(jobs: readonly WatchedJob[]): void | Promise<void>;
  /** Hears of what went wrong on the way and is tried again. */
  onTrouble(text: string): void;
}

/**
 * The jobs of a sweep, put into a queue and waited for. What counts is what lies in the store: the queue only says when to look,
 * so one that lost everything, or was begun anew, loses nothing.
 */
export class SweepJobs {
  readonly #pending = new Map<string, Pending>();
  readonly #all = new Map<string, { watched: WatchedJob; found: Promise<FoundJob> }>();
  /** Jobs that the queue is yet to hear of. */
  readonly #new = new Set<Pending>();
  #ring: () => void = () => undefined;
  #changed = false;

  constructor(private readonly options: SweepJobsOptions) {}

  /** All jobs so far. */
  get list(): readonly WatchedJob[] {
    return Array.from(this.#all.values(), ({ watched }) => watched);
  }

  /**
   * What a job finds: at once where it is there already. The same job asked for twice is one.
   *
   * @throws InputError when it cannot be done, WeightlockError when it failed for good.
   */
  find(job: NamedJob, name: string): Promise<FoundJob> {
    const known = this.#all.get(job.digest);
    if (known) return known.found;
    const watched: WatchedJob = { name, digest: job.digest, state: 'waiting' };
    const found = this.#begin(job, watched);
    // Whoever asked hears of the failure when he comes to it.
    found.catch(() => undefined);
    this.#all.set(job.digest, { watched, found });
    return found;
  }

  /** Looks at the queue now, since a job has ended. */
  look(): void {
    this.#ring();
  }

  /** Asks the queue from time to time, until the signal. */
  async watch(until: AbortSignal): Promise<void> {
    const { everyMs, onTrouble } = this.options;
    const ring = () => this.#ring();
    until.addEventListener('abort', ring, { once: true });
    while (!until.aborted) {
      const rung = new Promise<void>((resolve) => {
        this.#ring = resolve;
      });
      try {
        await this.#ask();
        if (this.#changed) {
          this.#changed = false;
          await this.options.onChange(this.list);
        }
      } catch (error) {
        onTrouble(`queue: ${error instanceof Error ? error.message : String(error)}; trying again`);
      }
      const pause = new AbortController();
      await Promise.race([rung, wait(everyMs, undefined, { signal: pause.signal }).catch(() => undefined)]);
      pause.abort();
    }
    until.removeEventListener('abort', ring);
    for (const { found } of this.#pending.values()) found.reject(new InterruptedError('interrupted'));
  }

  async #begin(job: NamedJob, watched: WatchedJob): Promise<FoundJob> {
    const { findings, signal } = this.options;
    const before = await findings.read(job.digest).catch((error: Error) => {
      watched.message = error.message;
      this.#end(watched, 'failed');
      throw error;
    });
    if (before) {
      this.#end(watched, 'done');
      return before;
    }
    if (signal.aborted) throw new InterruptedError('interrupted');
    const pending: Pending = { job, watched, found: withEnds(), empty: 0 };
    this.#pending.set(job.digest, pending);
    this.#new.add(pending);
    this.#ring();
    return pending.found.promise;
  }

  async #ask(): Promise<void> {
    const { queue } = this.options;
    const added = [...this.#new];
    if (added.length > 0) {
      await queue.add(added.map(({ job }) => job));
      for (const each of added) this.#new.delete(each);
    }
    const asked = [...this.#pending.keys()];
    if (asked.length === 0) return;
    const states = await queue.states(asked);
    for (const digest of asked) {
      const pending = this.#pending.get(digest);
      const state = states.get(digest);
      if (pending && state) await this.#hear(pending, state);
    }
  }

  async #hear(pending: Pending, { state, message, impossible }: JobState): Promise<void> {
    const { job, watched, found } = pending;
    if (state === 'waiting' || state === 'active') {
      if (watched.state !== state) this.#changed = true;
      watched.state = state;
      return;
    }
    let here: FoundJob | undefined;
    try {
      here = await this.options.findings.read(job.digest);
    } catch (error) {
      // Something else lies in its place, which no worker would overwrite.
      this.#fail(pending, error instanceof Error ? error.message : String(error));
      return;
    }
    if (here) {
      this.#pending.delete(job.digest);
      this.#end(watched, 'done');
      found.resolve(here);
    } else if (state === 'failed') this.#fail(pending, message ?? 'it failed', impossible);
    else if (state === 'gone' || ++pending.empty < emptyHanded) this.#new.add(pending);
    else {
      const { name } = this.options.findings.store;
      this.#fail(pending, `workers did it and ${name} has nothing of it: do all work in the same place?`);
    }
  }

  #fail({ job, watched, found }: Pending, message: string, impossible = false): void {
    this.#pending.delete(job.digest);
    watched.message = message;
    this.#end(watched, 'failed');
    found.reject(new (impossible ? InputError : WeightlockError)(message));
  }

  #end(watched: WatchedJob, state: 'done' | 'failed'): void {
    watched.state = state;
    this.#changed = true;
  }
}

function withEnds<T>(): PromiseWithEnds<T> {
  let ends: Pick<PromiseWithEnds<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject };
  });
  // The executor has run.
  return { promise, ...(ends as unknown as Pick<PromiseWithEnds<T>, 'resolve' | 'reject'>) };
}
