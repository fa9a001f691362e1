import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { InputError, InterruptedError, WeightlockError } from '../../registry/index.js';
import type { ChildReply, ChildRequest } from './requests.js';

/** A trial as it is heard of while its search goes on. */
export type TrialReply = Extract<ChildReply, { kind: 'trial' }>;

/** Child processes that do jobs, each one at a time; those without work wait for the next. */
export class Children {
  readonly #idle: ChildProcess[] = [];

  /**
   * Does a job.
   *
   * @param onTrial - Hears of every trial of a search, one after another; the result waits for the last.
   * @throws InterruptedError after the signal: the process is ended where it stands.
   * @throws InputError when the job cannot be done, WeightlockError when it failed or its process died.
   */
  async run(
    request: ChildRequest,
    { signal, onTrial }: { signal: AbortSignal; onTrial(trial: TrialReply): Promise<void> },
  ): Promise<Exclude<ChildReply, { kind: 'trial' | 'error' }>> {
    if (signal.aborted) throw new InterruptedError('interrupted');
    const child = this.#idle.pop() ?? startChild();
    try {
      const found = await ask(child, request, signal, onTrial);
      this.#idle.push(child);
      return found;
    } catch (error) {
      // What is left in a process that failed is not worth finding out.
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Ends them. */
  end(): void {
    for (const child of this.#idle.splice(0)) child.kill('SIGKILL');
  }
}

/** The child's file, compiled: a process cannot run TypeScript. */
function startChild(): ChildProcess {
  const here = import.meta.url;
  const file = here.endsWith('.ts')
    ? new URL('../../../dist/experiments/sweep/child.js', here)
    : new URL('./child.js', here);
  return fork(fileURLToPath(file), ['serve-sweep-jobs'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
    // As JSON, what is not a number would arrive as null.
    serialization: 'advanced',
  });
}

function ask(
  child: ChildProcess,
  request: ChildRequest,
  signal: AbortSignal,
  onTrial: (trial: TrialReply) => Promise<void>,
): Promise<Exclude<ChildReply, { kind: 'trial' | 'error' }>> {
  return new Promise((resolve, reject) => {
    let heard = Promise.resolve();
    const settle = (end: () => void) => {
      signal.removeEventListener('abort', stop);
      child.off('exit', onExit).off('message', onMessage);
      end();
    };
    const fail = (error: unknown) => settle(() => reject(error));
    const stop = () => fail(new InterruptedError('interrupted'));
    const onExit = (code: number | null, reason: string | null) =>
      fail(new WeightlockError(`its process ended early (${reason ?? `exit code ${code}`})`));
    const onMessage = (reply: ChildReply) => {
      if (reply.kind === 'trial') {
        heard = heard.then(() => onTrial(reply));
        heard.catch(fail);
      } else if (reply.kind === 'error') {
        fail(new (reply.isInput ? InputError : WeightlockError)(reply.message));
      } else heard.then(() => settle(() => resolve(reply)), fail);
    };
    signal.addEventListener('abort', stop, { once: true });
    child.on('exit', onExit).on('message', onMessage);
    child.send(request, (error) => {
      if (error) fail(new WeightlockError(`its process could not be reached: ${error.message}`));
    });
  });
}
