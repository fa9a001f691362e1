import { stringify } from 'yaml';
import { describeEnvironment } from '../../evidence/index.js';
import { demoOptions, runDemo } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { demoReport, environmentRows, summarizeDemo, tableToText } from '../../report/index.js';
import { defineCommand } from '../command.js';
import { phaseProgress } from '../phase-progress.js';

/** `weightlock demo`: the main job end to end on real digits. */
export const demo = defineCommand({
  name: 'demo',
  summary: 'Train a small network on real digits, lock it, attack it, and report what the lock is worth.',
  arguments: [],
  schema: demoOptions,
  examples: ['weightlock demo', 'weightlock demo --seed 2 --specdef.top-k 1', 'weightlock demo --json --quiet'],
  run: async (context) => {
    const { options, threads, device, signal, print, result, note, openRunFolder } = context;
    const folder = await openRunFolder();
    if (folder.isDone) note(`${folder.path}: this run is done; --force computes it again`);
    const found = folder.isDone
      ? ((await folder.readResult()) as Awaited<ReturnType<typeof runDemo>>)
      : await runDemo(options, {
          folder,
          engine: { threads, device },
          workers: threads,
          signal,
          progress: phaseProgress(context),
        });
    const { table, sentences } = summarizeDemo(found, options);
    if (!folder.isDone) {
      const page = await demoReport(found, options, {
        environment: environmentRows(describeEnvironment({ threads })),
        config: stringify(context.config),
      });
      await writeFileAtomic(folder.file('report.html'), page);
      await folder.writeResult(found);
      await folder.done();
    }
    print(tableToText(table));
    for (const sentence of sentences) print(`\n${sentence}`);
    print(`\n${folder.file('report.html')}`);
    result({ ...found, report: folder.file('report.html'), sentences });
    return 0;
  },
});
