import { readOrigin } from '../../evidence/index.js';
import { demoOptions, demoSpec, describeEstimate, estimateRun, Runner, runDemo } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { initializeModel } from '../../models/index.js';
import {
  demoReport,
  firstLookSentence,
  renderReport,
  reportOrigin,
  summarizeDemo,
  tableToText,
  utilityTable,
} from '../../report/index.js';
import { chosenOptimizer } from '../../training/index.js';
import { defineCommand } from '../command.js';
import { phaseProgress } from '../phase-progress.js';
import { runOnce } from '../run-once.js';

/** `weightlock demo`: the main job end to end on real digits. */
export const demo = defineCommand({
  name: 'demo',
  summary: 'Train a small network on real digits, lock it, attack it, and report what the lock is worth.',
  arguments: [],
  schema: demoOptions,
  examples: ['weightlock demo', 'weightlock demo --seed 2 --specdef.top-k 1', 'weightlock demo --json --quiet'],
  run: async (context) => {
    const { options, threads, device, signal, print, note, result, dryRun } = context;
    if (dryRun) {
      const { path, state } = await context.locateRunFolder();
      const model = initializeModel('cnn', { num_labels: options.unauthorized.length }, options.seed);
      const estimate = (part: typeof options.train | typeof options.specdef) =>
        estimateRun({ model, batchSize: part.batchSize, optimizer: chosenOptimizer(part), folder: path });
      const train = await estimate(options.train);
      const lock = await estimate(options.specdef);
      const needs = {
        memoryBytes: Math.max(train.memoryBytes, lock.memoryBytes),
        keptBytes: 0,
        diskBytes: Math.max(train.diskBytes, lock.diskBytes),
      };
      print(`would train, lock and attack a network on digits; ${path} (${state})`);
      print(describeEstimate(needs));
      return 0;
    }
    const { found, folder } = await runOnce(context, 'demo', {
      compute: (run) =>
        runDemo(
          options,
          new Runner(demoSpec(options, { threads, device }, threads), {
            folder: run,
            signal,
            progress: phaseProgress(context, run),
          }),
          (rows) => note(firstLookSentence(rows)),
        ),
      write: async (demo, run) => {
        const origin = reportOrigin(await readOrigin(run.path));
        await writeFileAtomic(run.file('report.html'), renderReport(await demoReport(demo, options, origin)));
      },
    });
    const { table, sentences } = summarizeDemo(found, options);
    const [verdict, ...rest] = sentences;
    print(`\n${verdict}\n`);
    print(tableToText(table));
    print(`\n${tableToText(utilityTable(found.test))}`);
    for (const sentence of rest) print(`\n${sentence}`);
    print(`\n${folder.file('report.html')}`);
    result({ ...found, report: folder.file('report.html'), sentences });
    return 0;
  },
});
