import { setTimeout as wait } from 'node:timers/promises';
import type PgBoss from 'pg-boss';
import { z } from 'zod';
import { InputError } from '../registry/index.js';
import type { QueueAddress } from './address.js';
import { type Database, openDatabase } from './database.js';

/** Everything of ours in the database lies in this schema. */
const SCHEMA = 'weightlock';
/** When a job may be handed out, from now: pg-boss hands out what starts before now, and the clock of PGlite tells milliseconds apart. */
const AT_ONCE = '-1 second';

/** How often a job may lose its worker: one that takes its machine down each time must end. */
const lostWorkers = 20;
/** How often a job may fail by itself before it is given up. */
const attempts = 3;
/** A job's data with the count of its failures, which lies beside what was put in: pg-boss counts those that lost their worker as well. */
const counted = z.looseObject({ failures: z.int().min(0).default(0) });

/** Milliseconds between attempts to reach a database that is away for a moment: one that is being started again. */
const startPauses = [250, 500, 1000];

/** A job as it is put into a queue. */
export interface QueuedJob {
  /** SHA-256 in hexadecimal that names it: the same job twice is one. */
  readonly digest: string;
  /** What is to be done, as text. */
  readonly text: string;
}

/** A job that this process has taken. */
export interface TakenJob {
  /** Its name in the queue. */
  readonly id: string;
  /** How many took it before, those that were not heard of again among them. */
  readonly attempt: number;
  /** How often it failed by itself. */
  readonly failures: number;
  /** What came with it: from a database that others write to, so it is to be checked. */
  readonly data: unknown;
}

/** How far a job is; `gone`: the queue knows nothing of it. */
export interface JobState {
  /** `failed`: it is not tried again. */
  readonly state: 'waiting' | 'active' | 'done' | 'failed' | 'gone';
  /** Why it failed. */
  readonly message?: string;
  /** Whether its worker said that no attempt will go better; default false. */
  readonly impossible?: boolean;
}

/** Options of {@link JobQueue.open}. */
export interface QueueOptions {
  /** PostgreSQL; default one within this process. */
  readonly address?: QueueAddress;
  /** Name of the queue: letters, digits, dashes. */
  readonly name: string;
  /** A job whose worker has said nothing for so long is another's: of a queue that is made now, default 60. */
  readonly leaseSeconds?: number;
  /** Hears of what went wrong on the way and is tried again. */
  readonly onTrouble?: (text: string) => void;
}

/**
 * Jobs in PostgreSQL, by pg-boss: each is leased to one worker, who says from time to time that he is still at it; one that is
 * not heard of loses it to another. So a job is done at least once, and sometimes twice: what it finds is kept by its digest.
 */
export class JobQueue {
  private constructor(
    private readonly boss: PgBoss,
    private readonly database: Database,
    private readonly name: string,
    /** A worker must be heard of within this time. */
    readonly leaseSeconds: number,
  ) {}

  /**
   * Connects, and makes the tables where there are none.
   *
   * @throws InputError when the database cannot be reached.
   */
  static async open(options: QueueOptions): Promise<JobQueue> {
    const { address } = options;
    for (const pause of [...(address ? startPauses : []), undefined]) {
      try {
        return await JobQueue.#connect(options);
      } catch (error) {
        if (pause !== undefined && isAway(error)) {
          await wait(pause);
          continue;
        }
        const reason = error instanceof Error ? error.message || String(error) : String(error);
        throw new InputError(`${address?.shown ?? 'embedded queue'}: expected a database, ${reason}`);
      }
    }
    throw new TypeError('the last attempt returns or throws');
  }

  static async #connect({ address, name, leaseSeconds = 60, onTrouble }: QueueOptions): Promise<JobQueue> {
    const trouble = (error: Error) => onTrouble?.(`queue: ${error.message}; trying again`);
    const database = await openDatabase(address, trouble);
    let boss: PgBoss | undefined;
    try {
      const { default: Boss } = await import('pg-boss');
      boss = new Boss({
        db: { executeSql: (text: string, values: unknown[]) => database.executeSql(text, values) },
        schema: SCHEMA,
        schedule: false,
        // Who is late is found out so often; of many processes one does it.
        maintenanceIntervalSeconds: Math.max(1, Math.floor(leaseSeconds / 6)),
        // A sweep may be looked at weeks later.
        archiveFailedAfterSeconds: 30 * 24 * 3600,
      });
      boss.on('error', trouble);
      await boss.start();
      await boss.createQueue(name, { name, retryLimit: lostWorkers, expireInSeconds: leaseSeconds });
      // What counts is what it was made with: those who take its jobs must be heard of as often as that asks.
      const { expireInSeconds = leaseSeconds } = (await boss.getQueue(name)) ?? {};
      return new JobQueue(boss, database, name, expireInSeconds);
    } catch (error) {
      // Started, it looks after the database from time to time, and would keep this process from ending.
      await boss?.stop({ graceful: false }).catch(() => undefined);
      await database.close().catch(() => undefined);
      throw error;
    }
  }

  /** Puts jobs in, those that wait or are worked on aside; one that had ended is done anew. */
  async add(jobs: readonly QueuedJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.#sql(
      `DELETE FROM ${SCHEMA}.job WHERE name = $1 AND id = ANY($2::uuid[]) AND state >= 'completed'`,
      jobs.map(({ digest }) => uuidOf(digest)),
    );
    await this.boss.insert(
      jobs.map(({ digest, text }) => ({
        ...{ id: uuidOf(digest), name: this.name, data: { digest, text } },
        startAfter: AT_ONCE,
      })),
    );
  }

  /** Takes jobs, at most so many; none while the database does not answer. */
  async take(count: number): Promise<TakenJob[]> {
    const found = await this.boss.fetch<unknown>(this.name, { batchSize: count, includeMetadata: true });
    return found.map(({ id, data, retryCount }) => {
      const known = counted.safeParse(data);
      // What somebody else wrote is refused by who does it.
      if (!known.success) return { id, data, attempt: retryCount, failures: 0 };
      const { failures, ...own } = known.data;
      return { id, data: own, attempt: retryCount, failures };
    });
  }

  /** Says that this process is still at some jobs; those of them that are still its own. */
  async keep(jobs: readonly TakenJob[]): Promise<ReadonlySet<string>> {
    const rows = await this.#own('SET started_on = now()', jobs);
    return new Set(rows.map(({ id }) => String(id)));
  }

  /** Says that jobs are done. */
  async done(jobs: readonly TakenJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.boss.complete(
      this.name,
      jobs.map(({ id }) => id),
    );
  }

  /**
   * Says that a job failed by itself; a third time is its last, however many workers were lost with it.
   *
   * @param again - Whether another attempt may go better.
   */
  async fail(job: TakenJob, message: string, again: boolean): Promise<void> {
    const failures = job.failures + 1;
    const state =
      again && failures < attempts
        ? "state = 'retry', start_after = now() + interval '1 second'"
        : "state = 'failed', completed_on = now()";
    await this.#own(
      `SET ${state}, output = $4::jsonb, data = data || jsonb_build_object('failures', $5::int)`,
      [job],
      [JSON.stringify({ message, ...(!again && { impossible: true }) }), failures],
    );
  }

  /** Gives jobs back, as if this process had never taken them. */
  async giveBack(jobs: readonly TakenJob[]): Promise<void> {
    await this.#own(`SET state = 'retry', started_on = NULL, start_after = now() + interval '${AT_ONCE}'`, jobs);
  }

  /** How far jobs are, by their digest. */
  async states(digests: readonly string[]): Promise<Map<string, JobState>> {
    const rows = await this.#sql(
      `SELECT id, state, output FROM ${SCHEMA}.job WHERE name = $1 AND id = ANY($2::uuid[])`,
      digests.map(uuidOf),
    );
    const known = new Map(rows.map((row) => [String(row.id), stateOf(row)]));
    return new Map(digests.map((digest) => [digest, known.get(uuidOf(digest)) ?? { state: 'gone' }]));
  }

  /** Lets go of the database; jobs that were taken stay taken until their lease ends. */
  async close(): Promise<void> {
    await this.boss.stop({ graceful: false }).catch(() => undefined);
    await this.database.close().catch(() => undefined);
  }

  async #sql(text: string, ids: readonly string[], more: readonly unknown[] = []) {
    return (await this.database.executeSql(text, [this.name, ids, ...more])).rows;
  }

  /** Changes jobs that are this process's: not those that were given to another meanwhile. */
  async #own(change: string, jobs: readonly TakenJob[], more: readonly unknown[] = []) {
    if (jobs.length === 0) return [];
    const attempt = jobs.map((job) => job.attempt);
    return this.#sql(
      `UPDATE ${SCHEMA}.job ${change} WHERE name = $1 AND state = 'active'
         AND (id, retry_count) IN (SELECT * FROM unnest($2::uuid[], $3::int[])) RETURNING id`,
      jobs.map(({ id }) => id),
      [attempt, ...more],
    );
  }
}

function stateOf({ state, output }: Record<string, unknown>): JobState {
  if (state === 'completed') return { state: 'done' };
  if (state === 'active') return { state: 'active' };
  if (state !== 'failed' && state !== 'cancelled') return { state: 'waiting' };
  const impossible = typeof output === 'object' && output !== null && 'impossible' in output;
  return {
    state: 'failed',
    message: messageOf(output) ?? 'it was cancelled in the queue',
    ...(impossible && { impossible }),
  };
}

/** What a worker wrote, or pg-boss where no worker was heard of. */
function messageOf(output: unknown): string | undefined {
  if (typeof output !== 'object' || output === null) return undefined;
  const { message, value } = output as { message?: unknown; value?: unknown };
  if (typeof message === 'string') return message.slice(0, 1000);
  return value === undefined ? undefined : `its workers were not heard of again, ${lostWorkers + 1} times`;
}

/** A digest as PostgreSQL's uuid: its first 128 bits. */
function uuidOf(digest: string): string {
  return digest.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * Whether a database is not there at all, unlike one that refuses: its own errors have a code of five characters, of which those of
 * class 57 say that it is starting or stopping.
 */
function isAway(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('57');
}
