import { join } from 'node:path';
import { z } from 'zod';
import { readOrigin } from '../../evidence/index.js';
import { fromResultFile, runSweep, type SweepResult, sweepExtent, toResultFile } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { InputError } from '../../registry/index.js';
import { renderReport, reportOrigin, summarizeSweep, sweepReport, tableToText } from '../../report/index.js';
import { warn } from '../card-data.js';
import { defineCommand } from '../command.js';
import { phaseProgress } from '../phase-progress.js';
import { plannedCells } from '../sweep/cells.js';
import { openQueue, openStore, queueAddress } from '../sweep/places.js';
import { readPlan } from '../sweep/plan.js';

/** `weightlock sweep`: attacks × models × locks × seeds, on one machine or many. */
export const sweep = defineCommand({
  name: 'sweep',
  summary: 'Run a plan of attacks on models and locks, on one machine or many; exit 1 where a part of it failed.',
  arguments: [
    {
      name: 'plan',
      description: 'YAML file with the models, the locks and the attacks; see docs/sweep.md.',
      required: true,
    },
  ],
  schema: z.strictObject({
    queue: z
      .string()
      .optional()
      .describe(
        'PostgreSQL that the jobs are put into, as postgres://user@host/database; default WEIGHTLOCK_QUEUE, else a queue within this process',
      ),
    artifacts: z
      .string()
      .optional()
      .describe(
        'folder, or s3://bucket/prefix, of what jobs read and find, the same for all machines; default artifacts in the folder of runs',
      ),
    workers: z
      .int()
      .min(0)
      .max(64)
      .default(2)
      .describe('jobs that this process does side by side, threads shared among them; 0: none, others do them'),
  }),
  apart: ['queue', 'artifacts'],
  examples: [
    'weightlock sweep plan.yaml --dry-run',
    'weightlock sweep plan.yaml --queue postgres://me@host/sweeps --artifacts /shared/artifacts',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, note, result, dryRun, runs, force } = context;
    const { plan: file } = context.arguments;
    const { workers } = options;
    const address = queueAddress(options.queue);
    if (workers === 0 && !address) throw new InputError('--workers: expected 1 or more without --queue, got 0');
    const planned = await plannedCells(await readPlan(file), file, context);
    if (!planned) return 0;
    const { cells, inputs, warnings } = planned;
    warn(context, warnings);
    if (dryRun) {
      const { path, state } = await context.locateRunFolder(inputs);
      const { jobs, notes } = await sweepExtent(cells);
      for (const text of notes) note(text);
      for (const { name, trials } of jobs) print(trials === 0 ? name : `${name}, at most ${trials} trials`);
      const all = jobs.reduce((sum, { trials }) => sum + trials, 0);
      print(`would run ${jobs.length} jobs, at most ${all} trials; ${path} (${state})`);
      result({ jobs, trials: all });
      return 0;
    }
    const folder = await context.openRunFolder(inputs);
    let found: SweepResult;
    if (folder.isDone) {
      found = fromResultFile('sweep', await folder.readResult(), folder.file('result.json'));
      note(`${folder.path}: this run is done; --force computes it again`);
    } else {
      const store = await openStore(options.artifacts ?? join(runs, 'artifacts'), runs);
      const queue = await openQueue(address, store, note);
      try {
        found = await runSweep(cells, {
          store,
          queue,
          isShared: address !== undefined,
          workers,
          // As of an attack's processes, so that it finds the same to the bit.
          engine: { threads: Math.max(1, Math.floor(threads / Math.max(workers, 1))), device },
          folder,
          runs,
          anew: force,
          signal,
          progress: phaseProgress(context, folder),
          onTrouble: note,
        });
      } finally {
        await queue.close();
      }
      const origin = reportOrigin(await readOrigin(folder.path));
      await writeFileAtomic(folder.file('report.html'), renderReport(await sweepReport(found, origin)));
      await folder.writeResult(toResultFile('sweep', found));
      // What failed is tried again when the same command is run.
      if (found.failed.length === 0) await folder.done();
    }
    const { tables, sentences } = summarizeSweep(found);
    for (const table of tables) print(`${tableToText(table)}\n`);
    for (const sentence of sentences) print(`${sentence}\n`);
    print(folder.file('report.html'));
    const { length } = found.failed;
    if (length > 0) note(`${length} ${length === 1 ? 'job' : 'jobs'} failed; the same command tries again`);
    result({ ...found, sentences, report: folder.file('report.html'), warnings });
    return length > 0 ? 1 : 0;
  },
});
