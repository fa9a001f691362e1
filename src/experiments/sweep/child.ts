import { AttackRunner, endWithParent } from '../../attacks/index.js';
import { InputError } from '../../registry/index.js';
import { lockDraw } from './lock-draw.js';
import type { ChildReply, ChildRequest } from './requests.js';

/** Runs searches, and keeps what one shares with the next: the same models and data, compiled programs. */
class Searches {
  #key = '';
  #runner: AttackRunner | undefined;

  async run(
    { task, engine, prepared, finished }: Extract<ChildRequest, { kind: 'search' }>,
    reply: (message: ChildReply) => void,
  ) {
    const { start, data, benign, retain, unlabelled } = task;
    const model = start.kind === 'model' ? start.path : start.like;
    const key = JSON.stringify([engine, model, data, benign, retain, unlabelled]);
    if (key !== this.#key) {
      // Another model: what was kept of the last one would only take memory.
      await this.#runner?.release();
      this.#runner = new AttackRunner(engine, prepared);
      this.#key = key;
    }
    this.#runner ??= new AttackRunner(engine, prepared);
    return this.#runner.run(task, {
      finished,
      onTrial: (trial, index, seconds) => reply({ kind: 'trial', trial, index, seconds }),
    });
  }
}

/** Serves jobs that arrive over the process channel until it closes. */
function serveJobs(): void {
  // A parent that was killed hears nothing any more; this process then ends.
  const reply = (message: ChildReply) => void process.send?.(message, undefined, undefined, () => undefined);
  const searches = new Searches();
  const serve = async (request: ChildRequest): Promise<ChildReply> => {
    if (request.kind === 'search') return { kind: 'search', result: await searches.run(request, reply) };
    // The parent ends a job by ending this process: a lock goes on from its checkpoint.
    return { kind: 'lock', ...(await lockDraw(request, new AbortController().signal)) };
  };
  process.on('message', (request: ChildRequest) => {
    serve(request).then(reply, (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      reply({ kind: 'error', message, isInput: error instanceof InputError });
    });
  });
  // The parent decides when to stop: its Ctrl-C also reaches this process, and its death closes the channel.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  endWithParent();
}

if (process.send && process.argv[2] === 'serve-sweep-jobs') serveJobs();
