import { type AttackTargets, type SearchResult, trialCount } from '../../attacks/index.js';
import { type RunFolder, toJson, weightlockVersion } from '../../evidence/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { type ArtifactStore, type JobQueue, work } from '../../queue/index.js';
import { InterruptedError } from '../../registry/index.js';
import { assessAttack } from '../attacked.js';
import {
  type FailedSearch,
  failureNotes,
  type LabelledTask,
  labelledTasks,
  rowsOf,
  transformNotes,
} from '../jobs/attack.js';
import { dataWithPaths, withPaths } from '../jobs/task-paths.js';
import type { PhaseProgress } from '../progress.js';
import type { LockedInfo } from '../run/index.js';
import type { SweepCell, SweepLock, SweepResult, SweptCell } from './cells.js';
import { JobDoer } from './do-job.js';
import { Findings, type FoundJob } from './found.js';
import { type LockJob, type NamedJob, namedJob, type SearchJob, type SweepJob } from './job.js';
import { SweepJobs, type WatchedJob } from './jobs.js';
import { keptPaths } from './paths.js';

/** What a sweep works with. */
export interface SweepContext {
  /** What its machines share. */
  readonly store: ArtifactStore;
  /** Its jobs. */
  readonly queue: JobQueue;
  /** Whether workers elsewhere take jobs too, which this process hears of only by asking. */
  readonly isShared: boolean;
  /** Jobs that this process does side by side; 0: none, others do. */
  readonly workers: number;
  /** Device and threads of each job. */
  readonly engine: SweepJob['engine'];
  /** Where it is kept. */
  readonly folder: RunFolder;
  /** Folder of all runs: what its own jobs need on the way is there. */
  readonly runs: string;
  /** Whether what jobs found before is forgotten. */
  readonly anew: boolean;
  /** Ends it, resumable. */
  readonly signal: AbortSignal;
  /** Shows how far it has come, in jobs. */
  readonly progress: PhaseProgress;
  /** Hears of what went wrong on the way and is tried again. */
  onTrouble(text: string): void;
}

/** File of the run folder with all jobs and how far they are, for whoever watches. */
const JOBS = 'jobs.json';

/** A job of a plan, and what it is called. */
export interface PlannedJob<Job extends SweepJob = SweepJob> {
  readonly name: string;
  readonly job: NamedJob<Job>;
}

/** The jobs of a cell's lock: its draws, and as many shams. */
async function lockJobs(
  { name, from, config, methods, options, seeds, sham, data, adversary, task }: SweepLock,
  cell: Pick<SweepCell, 'model'>,
  { engine, paths }: { engine: SweepContext['engine']; paths: ReturnType<typeof keptPaths> },
): Promise<{ draws: PlannedJob<LockJob>[]; shams: PlannedJob<LockJob>[] }> {
  const make = async (seed: number, isSham: boolean): Promise<PlannedJob<LockJob>> => ({
    name: `lock ${cell.model} by ${name}, seed ${seed}${isSham ? ', sham' : ''}`,
    job: namedJob<LockJob>({
      kind: 'lock',
      weightlock: weightlockVersion(),
      engine,
      model: { path: await paths.model(from), ...(config && { config: config as LockJob['options'] }) },
      methods: [...methods],
      options: options as LockJob['options'],
      sham: isSham,
      seed,
      ...(data && { data: await dataWithPaths(data, paths) }),
      ...(adversary && { adversary: await Promise.all(adversary.map((each) => dataWithPaths(each, paths))) }),
      ...(task !== undefined && { task }),
    }),
  });
  const all = (isSham: boolean) => Promise.all(seeds.map((seed) => make(seed, isSham)));
  return { draws: await all(false), shams: sham ? await all(true) : [] };
}

/** The job of one search. */
async function searchJob(
  { task }: LabelledTask,
  { name }: Pick<SweepCell, 'name'>,
  { engine, paths }: { engine: SweepContext['engine']; paths: ReturnType<typeof keptPaths> },
): Promise<PlannedJob<SearchJob>> {
  const moved = await withPaths(task, paths);
  // Plain data all of it, whatever its types say: what is not fails in its form.
  const job = { kind: 'search', weightlock: weightlockVersion(), engine, task: moved } as unknown as SearchJob;
  return { name: `${name}: ${task.id}`, job: namedJob(job) };
}

/**
 * What would be done: the jobs that are known before anything is done. Of a lock that is yet to be made, searches are planned on the
 * model before it, so which attacks can do something to it may turn out otherwise; their digests are not known.
 */
export async function sweepExtent(
  cells: readonly SweepCell[],
): Promise<{ jobs: readonly { name: string; trials: number }[]; notes: readonly string[] }> {
  const jobs = new Map<string, number>();
  const notes = new Set<string>();
  for (const { name, model, lock, targets, plan } of cells) {
    for (const sham of lock?.sham ? ['', ', sham'] : ['']) {
      for (const seed of lock?.seeds ?? []) jobs.set(`lock ${model} by ${lock?.name}, seed ${seed}${sham}`, 0);
    }
    const places = { ...targets, ...(lock?.sham && { sham: targets.locked }) };
    const { tasks, notes: left } = await labelledTasks(places, plan);
    for (const task of tasks) jobs.set(`${name}: ${task.task.id}`, trialCount(task.task.budget));
    for (const note of left) notes.add(note);
  }
  return { jobs: Array.from(jobs, ([name, trials]) => ({ name, trials })), notes: [...notes] };
}

/**
 * Runs a sweep: makes the locks, runs every search of every cell, and says what they found. A job that fails ends nothing but what
 * is made of it. Killed at any point, it goes on when it is run again, with what lies in the store.
 *
 * @throws InterruptedError after the signal.
 */
export async function runSweep(cells: readonly SweepCell[], context: SweepContext): Promise<SweepResult> {
  const { store, queue, folder, runs, workers, signal, progress, engine, isShared, onTrouble } = context;
  const findings = new Findings(store);
  const paths = keptPaths(store);
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const total = (await sweepExtent(cells)).jobs.length;
  progress.begin('sweep', total, { uneven: true });
  let shown = 0;
  const note = throttled(async (list: readonly WatchedJob[]) => {
    await writeFileAtomic(folder.file(JOBS), `${toJson({ version: 1, jobs: list }, 2)}\n`);
  });
  const jobs = new SweepJobs({
    findings,
    queue,
    signal,
    everyMs: isShared ? 1000 : 250,
    onTrouble,
    onChange: async (list) => {
      const ended = list.filter(({ state }) => state === 'done' || state === 'failed').length;
      if (ended > shown) progress.advanceBy(ended - shown, `${ended} of ${Math.max(total, list.length)} jobs`);
      shown = Math.max(shown, ended);
      await note(list);
    },
  });
  const doer = new JobDoer({
    ...{ store, runs, slots: Math.max(workers, 1) },
    onFewer: (count) => onTrouble(fewerJobs(count, workers)),
  });
  const forgotten = new Set<string>();
  const find = async ({ name, job }: PlannedJob): Promise<FoundJob> => {
    if (context.anew && !forgotten.has(job.digest)) {
      forgotten.add(job.digest);
      await findings.forget(job.digest);
    }
    return jobs.find(job, name);
  };
  const watching = jobs.watch(end);
  const working =
    workers === 0
      ? Promise.resolve()
      : work(queue, {
          slots: workers,
          signal: end,
          idleMs: isShared ? 500 : 100,
          run: (data, stop) => doer.run(data, stop),
          onTrouble,
          onEnd: () => jobs.look(),
        });
  try {
    const swept = await Promise.all(cells.map((cell) => sweepCell(cell, { find, findings, paths, engine, signal })));
    return { cells: swept, failed: failures(jobs.list) };
  } finally {
    over.abort();
    await Promise.all([watching, working]);
    doer.end();
    await writeFileAtomic(folder.file(JOBS), `${toJson({ version: 1, jobs: jobs.list }, 2)}\n`);
    progress.end(`${shown} ${shown === 1 ? 'job' : 'jobs'}`);
  }
}

function failures(list: readonly WatchedJob[]): SweepResult['failed'] {
  return list.flatMap(({ name, state, message = '' }) => (state === 'failed' ? [{ job: name, message }] : []));
}

/** What a cell works with. */
interface CellContext {
  readonly find: (job: PlannedJob) => Promise<FoundJob>;
  readonly findings: Findings;
  readonly paths: ReturnType<typeof keptPaths>;
  readonly engine: SweepContext['engine'];
  readonly signal: AbortSignal;
}

/** Makes the locks of a cell, then attacks what they made. */
async function sweepCell(cell: SweepCell, context: CellContext): Promise<SweptCell> {
  const { name, model, lock, attacks, options, plan, task } = cell;
  const swept: SweptCell = { name, model, ...(lock && { lock: lock.name }), attacks, options };
  const { signal } = context;
  let made: Awaited<ReturnType<typeof makeLocks>>;
  try {
    made = await makeLocks(cell, context);
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw new InterruptedError('interrupted');
    return { ...swept, failure: `the lock failed: ${error.message}` };
  }
  const found = { ...swept, ...(made.locks && { locks: made.locks }) };
  const { tasks, notes } = await labelledTasks(made.targets, plan);
  const results = new Map<string, SearchResult>();
  const seconds: Record<string, readonly number[]> = {};
  const failed: FailedSearch[] = [];
  await Promise.all(
    tasks.map(async (labelled) => {
      const { id } = labelled.task;
      try {
        const one = await context.find(await searchJob(labelled, cell, context));
        if (one.kind !== 'search') throw new Error(`expected a search, found a ${one.kind}`);
        results.set(id, one.result);
        seconds[id] = one.seconds;
      } catch (error) {
        if (signal.aborted || !(error instanceof Error)) throw new InterruptedError('interrupted');
        failed.push({ task: labelled.task, error });
      }
    }),
  );
  if (results.size === 0) return { ...found, failure: failed[0]?.error.message ?? 'there is nothing to try' };
  const attacked = assessAttack(
    {
      rows: rowsOf(tasks, results, failed),
      notes: [...notes, ...failureNotes(failed, results), ...transformNotes(results)],
      // In the order of the plan, whichever came first.
      seconds: Object.fromEntries(tasks.flatMap(({ task: { id } }) => (seconds[id] ? [[id, seconds[id]]] : []))),
    },
    task,
    { utilityDrop: options.utilityDrop, lockFlops: made.locks ? made.locks[0]?.flops : cell.lockFlops },
  );
  return { ...found, attacked };
}

/** Where a cell's models lie, its locks made; and what is known of these. */
async function makeLocks(
  { lock, targets, model }: SweepCell,
  context: CellContext,
): Promise<{ targets: AttackTargets; locks?: LockedInfo[] }> {
  if (!lock) return { targets };
  const planned = await lockJobs(lock, { model }, context);
  const all = [...planned.draws, ...planned.shams];
  const made = await Promise.all(
    all.map(async (job) => {
      const found = await context.find(job);
      if (found.kind !== 'lock') throw new Error(`expected a lock, found a ${found.kind}`);
      return { path: await context.findings.store.tree(found.model), info: found.info };
    }),
  );
  const [first, ...others] = made.slice(0, planned.draws.length);
  const [sham, ...shams] = made.slice(planned.draws.length);
  return {
    targets: {
      ...targets,
      locked: first?.path ?? targets.locked,
      ...(others.length > 0 && { lockedDraws: others.map(({ path }) => path) }),
      ...(sham && { sham: sham.path }),
      ...(shams.length > 0 && { shamDraws: shams.map(({ path }) => path) }),
    },
    locks: made.slice(0, planned.draws.length).map(({ info }) => info),
  };
}

/** That memory does not hold as many jobs side by side as were asked for. */
export function fewerJobs(count: number, slots: number): string {
  const jobs = count === 1 ? '1 job' : `${count} jobs`;
  return `memory holds ${jobs} of such a model side by side, not ${slots}; the others wait`;
}

/** Does something at most once a second; what comes in between waits for the next time. */
function throttled<T>(act: (value: T) => Promise<void>): (value: T) => Promise<void> {
  let last = 0;
  return async (value) => {
    if (Date.now() - last < 1000) return;
    last = Date.now();
    await act(value);
  };
}
