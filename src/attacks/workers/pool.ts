import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type EngineOptions, programMemory } from '../../engine/index.js';
import { InputError, InterruptedError, OutputError, WeightlockError } from '../../registry/index.js';
import type { SearchResult, TrialLog } from '../search/search.js';
import type { Trial } from '../trial/fine-tune.js';
import { AttackRunner, type AttackTask } from './task.js';
import { TaskQueue } from './task-queue.js';
import type { WorkerReply, WorkerRequest } from './worker.js';
import { shareOfMemory } from './worker-memory.js';

/** Options of {@link runAttackTasks}. */
export interface PoolOptions {
  /** Child processes that work side by side; 0 runs the tasks one after another in this process. */
  workers: number;
  /** How many tasks there may be to do side by side, those of `next` included: more processes are of no use. Default all tasks. */
  atOnce?: number;
  /** Trials of a task that an interrupted run has done, in their order: they are not run again. */
  finished?(task: AttackTask): readonly Trial[];
  /** Hears of every trial of a task that is run, one after another, how many of the task's came before it, and its seconds. */
  onTrial?(task: AttackTask, trial: Trial, index: number, seconds: number): void | Promise<void>;
  /** Hears, now and then, how many more steps of a task's trials are done. */
  onSteps?(task: AttackTask, more: number): void;
  /** Hears of every finished task, after its trials; the next one of that worker starts when it has returned. */
  onResult(task: AttackTask, result: SearchResult): Promise<void>;
  /**
   * Hears of a task that failed, which then ends no other; default it ends them all. An InputError: the task cannot be done, however
   * often it is tried. That a file cannot be written always ends them all.
   */
  onFailure?(task: AttackTask, error: WeightlockError): void | Promise<void>;
  /** Tasks that there are to do once one is over and was heard of; they are done before the others. Default none. */
  next?(task: AttackTask): readonly AttackTask[];
  /** Device, and threads inside one operator of each process; default the CPU and one. */
  engine?: EngineOptions;
  /** Bytes of the largest model's weights: no more processes are started than memory holds with them; default they are small. */
  weightBytes?: number;
  /** Hears how many processes are started, where memory holds fewer than were asked for. */
  onFewer?(workers: number): void;
  /** Folder for weights that took training to make, so that an interrupted run need not make them again; default none. */
  store?: string;
  /** Ends the work; tasks without a result have none. */
  signal?: AbortSignal;
}

/**
 * Runs attack tasks in child processes, so that sessions of one cannot starve another and memory returns to the system
 * when they end. The results do not depend on the number of workers.
 *
 * @throws InterruptedError after `signal`.
 * @throws InputError when a task cannot be done, WeightlockError when one fails, and nobody hears of it; the others are ended.
 * @throws OutputError when a file cannot be written.
 */
export async function runAttackTasks(tasks: readonly AttackTask[], options: PoolOptions): Promise<void> {
  const { workers, signal } = options;
  const queue = new TaskQueue(tasks);
  const next = () => {
    if (signal?.aborted) throw new InterruptedError(`interrupted with ${queue.left + 1} searches to go`);
    return queue.next();
  };
  if (workers === 0) {
    const runner = new AttackRunner(options.engine, options.store);
    try {
      for (let task = await next(); task; task = await next()) {
        const current = task;
        const onTrial: TrialLog['onTrial'] = (...heard) => options.onTrial?.(current, ...heard);
        const onSteps = (more: number) => options.onSteps?.(current, more);
        const run = () => runner.run(current, { finished: options.finished?.(current), onTrial, onSteps, signal });
        await settled(current, run, options);
        queue.done(options.next?.(current));
      }
    } finally {
      await runner.release();
    }
    return;
  }
  const children: ChildProcess[] = [];
  const wanted = Math.min(workers, options.atOnce ?? tasks.length);
  // They share one machine.
  const { workers: count, memory } = shareOfMemory({
    workers: wanted,
    programs: programMemory(options.engine ?? {}),
    weightBytes: options.weightBytes ?? 0,
    free: process.availableMemory(),
  });
  if (count < wanted) options.onFewer?.(count);
  const engine = { ...options.engine, memory };
  try {
    await Promise.all(
      Array.from({ length: count }, async () => {
        let child: ChildProcess | undefined;
        for (let task = await next(); task; task = await next()) {
          const current = task;
          // A process that a task has ended is of no use to the next one.
          if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
            child = startWorker();
            children.push(child);
          }
          const worker = child;
          await settled(current, () => runInWorker(worker, current, { ...options, engine }), options);
          queue.done(options.next?.(current));
        }
      }),
    );
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

/** Hands on what a task found, or what it failed with. */
async function settled(
  task: AttackTask,
  run: () => Promise<SearchResult>,
  { onResult, onFailure }: PoolOptions,
): Promise<void> {
  let result: SearchResult;
  try {
    result = await run();
  } catch (error) {
    const isOwn =
      error instanceof WeightlockError && !(error instanceof OutputError || error instanceof InterruptedError);
    if (!onFailure || !isOwn) throw error;
    await onFailure(task, error);
    return;
  }
  await onResult(task, result);
}

/** The worker's file, compiled: a child process cannot run TypeScript. */
function startWorker(): ChildProcess {
  const here = import.meta.url;
  const file = here.endsWith('.ts')
    ? new URL('../../../dist/attacks/workers/worker.js', here)
    : new URL('./worker.js', here);
  return fork(fileURLToPath(file), ['serve-attack-tasks'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
    // As JSON, what is not a number would arrive as null.
    serialization: 'advanced',
  });
}

function runInWorker(
  child: ChildProcess,
  task: AttackTask,
  { finished, onTrial, onSteps, signal, engine, store }: PoolOptions,
): Promise<SearchResult> {
  return new Promise((resolve, reject) => {
    // What is heard of trials may take time, such as a file: the result waits for the last of it.
    let heard = Promise.resolve();
    const stop = () => settle(() => reject(new InterruptedError(`interrupted during ${task.id}`)));
    const onExit = (code: number | null, reason: string | null) =>
      settle(() => reject(new WeightlockError(`the worker process ended early (${reason ?? `exit code ${code}`})`)));
    const fail = (error: unknown) => settle(() => reject(error));
    const onMessage = (reply: WorkerReply) => {
      if (reply.kind === 'trial') {
        heard = heard.then(() => onTrial?.(task, reply.trial, reply.index, reply.seconds));
        heard.catch(fail);
      } else if (reply.kind === 'steps') {
        onSteps?.(task, reply.more);
      } else if (reply.kind === 'result') {
        heard.then(() => settle(() => resolve(reply.result)), fail);
      } else {
        settle(() => reject(new (reply.isInput ? InputError : WeightlockError)(reply.message)));
      }
    };
    const settle = (end: () => void) => {
      signal?.removeEventListener('abort', stop);
      child.off('exit', onExit).off('message', onMessage);
      end();
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.on('exit', onExit).on('message', onMessage);
    const request: WorkerRequest = { task, engine, store, finished: finished?.(task) };
    child.send(request, (error) => {
      if (error) fail(new WeightlockError(`the worker process hears nothing (${error.message})`));
    });
  });
}
