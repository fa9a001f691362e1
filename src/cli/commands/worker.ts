import { z } from 'zod';
import { fewerJobs, JobDoer } from '../../experiments/index.js';
import { work } from '../../queue/index.js';
import { InputError } from '../../registry/index.js';
import { defineCommand } from '../command.js';
import { openQueue, openStore, queueAddress } from '../sweep/places.js';

/** `weightlock worker`: does jobs of sweeps that run elsewhere. */
export const worker = defineCommand({
  name: 'worker',
  summary: 'Do jobs of sweeps that run elsewhere, until it is stopped.',
  arguments: [],
  schema: z.strictObject({
    queue: z
      .string()
      .optional()
      .describe('PostgreSQL of the jobs, as postgres://user@host/database; default WEIGHTLOCK_QUEUE'),
    artifacts: z
      .string()
      .optional()
      .describe('folder, or s3://bucket/prefix, of what jobs read and find, that of the sweeps'),
    workers: z.int().min(1).max(1024).optional().describe('jobs side by side; default as many as threads'),
  }),
  apart: ['queue'],
  examples: ['weightlock worker --queue postgres://me@host/sweeps --artifacts /shared/artifacts'],
  run: async (context) => {
    const { options, threads, signal, print, note, dryRun, runs } = context;
    const address = queueAddress(options.queue);
    if (!address) throw new InputError('--queue: expected the PostgreSQL of the jobs, got nothing');
    if (options.artifacts === undefined)
      throw new InputError('--artifacts: expected the folder of the sweeps, got nothing');
    const slots = options.workers ?? threads;
    if (dryRun) {
      print(`would do ${slots} jobs side by side of ${address.shown}, artifacts in ${options.artifacts}`);
      return 0;
    }
    const store = await openStore(options.artifacts, runs);
    const queue = await openQueue(address, store, note);
    const doer = new JobDoer({ store, runs, slots, onFewer: (count) => note(fewerJobs(count, slots)) });
    let done = 0;
    note(`${address.shown}: waiting for jobs of ${store.name}, ${slots} side by side; Ctrl-C ends this`);
    try {
      await work(queue, {
        slots,
        signal,
        run: (data, stop) => doer.run(data, stop),
        onTrouble: note,
        onEnd: (_, failure) => {
          if (failure === undefined) done++;
          else note(`a job failed: ${failure}`);
        },
      });
    } finally {
      doer.end();
      await queue.close();
    }
    print(`${done} ${done === 1 ? 'job' : 'jobs'} done`);
    return 0;
  },
});
