import type { EngineOptions } from '../../engine/index.js';
import { InputError, OutputError } from '../../registry/index.js';
import type { SearchResult } from '../search/search.js';
import type { Trial } from '../trial/fine-tune.js';
import { endWithParent } from './end-with-parent.js';
// Transforms and trained parts become known with the attacks that are made of them.
import '../registry.js';
import { AttackRunner, type AttackTask } from './task.js';

/** What the parent sends to a worker process: one task at a time. */
export interface WorkerRequest {
  /** The task to run. */
  readonly task: AttackTask;
  /** Device and threads; those of the first request hold for the process. */
  readonly engine?: EngineOptions;
  /** Folder for weights that took training to make; that of the first request holds for the process. */
  readonly store?: string;
  /** Its trials that an interrupted run has done. */
  readonly finished?: readonly Trial[];
}

/** What a worker sends back: every trial, and now and then how many more steps are done, then the result or the error's message. */
export type WorkerReply =
  | { readonly kind: 'steps'; readonly more: number }
  | { readonly kind: 'trial'; readonly trial: Trial; readonly index: number; readonly seconds: number }
  | { readonly kind: 'result'; readonly result: SearchResult }
  | { readonly kind: 'error'; readonly message: string; readonly isInput: boolean };

/** Milliseconds between two replies on steps. */
const sayStepsEvery = 1000;

/** Serves tasks that arrive over the process channel until it closes. */
export function serveTasks(): void {
  let runner: AttackRunner | undefined;
  // A parent that is gone hears nothing, and nothing is left to do.
  const gone = (error: Error | null) => {
    if (error) process.exit(0);
  };
  const reply = (message: WorkerReply) => process.send?.(message, undefined, undefined, gone);
  process.on('message', ({ task, engine, store, finished }: WorkerRequest) => {
    runner ??= new AttackRunner(engine, store);
    let [unsaid, saidAt] = [0, performance.now()];
    const onSteps = (more: number) => {
      unsaid += more;
      if (performance.now() - saidAt < sayStepsEvery) return;
      reply({ kind: 'steps', more: unsaid });
      [unsaid, saidAt] = [0, performance.now()];
    };
    runner
      .run(task, {
        finished,
        onTrial: (trial, index, seconds) => {
          // Its steps count with it.
          unsaid = 0;
          reply({ kind: 'trial', trial, index, seconds });
        },
        onSteps,
      })
      .then((result) => reply({ kind: 'result', result }))
      .catch((error: unknown) => {
        const isInput = error instanceof InputError && !(error instanceof OutputError);
        reply({ kind: 'error', message: error instanceof Error ? error.message : String(error), isInput });
      });
  });
  // The parent decides when to stop: its Ctrl-C also reaches this process, and its death closes the channel.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  endWithParent();
}

if (process.send && process.argv[2] === 'serve-attack-tasks') serveTasks();
