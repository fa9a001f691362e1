import { z } from 'zod';
import { digestOfFolder, readOrigin } from '../../evidence/index.js';
import {
  type PlannedPart,
  planReproduction,
  type Reproduction,
  reproductions,
  type Scale,
  type Sweep,
  scales,
  sweeps,
} from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { InputError } from '../../registry/index.js';
import {
  pageName,
  renderReport,
  reportOrigin,
  reproductionPage,
  reproductionReport,
  summarizeReproduction,
  type Table,
  tableToText,
} from '../../report/index.js';
import { defineCommand } from '../command.js';
import { dataFolder, dataSetFolder } from '../data-folder.js';
import { phaseProgress } from '../phase-progress.js';
import { formatDuration } from '../progress.js';
import { runOnce } from '../run-once.js';
import { requirePage, writePage } from '../write-page.js';

/** `weightlock reproduce`: an experiment of the paper, with its numbers beside ours. */
export const reproduce = defineCommand({
  name: 'reproduce',
  summary: 'Run an experiment of the paper and print its numbers beside ours; exit 1 where a claim does not hold.',
  arguments: [
    {
      name: 'experiment',
      description: reproductions
        .entries()
        .map(({ name, description }) => `${name}: ${description}`)
        .join('; '),
      required: true,
    },
  ],
  schema: z.strictObject({
    scale: z
      .enum(scales)
      .default('small')
      .describe(
        'smoke: whether all parts run, some minutes; small: at most two hours on two cores; medium: at most eight, three draws of each lock; paper: as the paper did; full: all of what is not in the paper',
      ),
    sweep: z
      .enum(sweeps)
      .default('full')
      .describe('full: searches learning rates and tries all attacks beside; none: the cells of the paper alone'),
    models: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('the models that have rows, of an experiment on several; default those of the scale'),
    locks: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('the lock methods that are compared, of an experiment on several; default those of the scale'),
    data: z.string().optional().describe('folder of the data sets, one subfolder each; default WEIGHTLOCK_DATA'),
    seed: z.int().min(0).default(1).describe('seed of the split, the weights and all shuffles'),
    page: z.string().optional().describe('folder to write the results to as a Markdown page with its charts'),
  }),
  // Where its page is written decides nothing of what is found: the same run writes it anywhere.
  apart: ['page'],
  examples: [
    'weightlock reproduce table1-vision --scale smoke',
    'weightlock reproduce table3 --scale small --data ./data --page docs/results',
    'weightlock reproduce fig4 --scale paper --sweep none',
    'weightlock reproduce table1-text --scale paper --sweep none --models all-minilm-l6-v2',
    'weightlock reproduce frontier --models resnet20 --locks trap,repnoise',
  ],
  run: async (context) => {
    const { options, threads, device, signal, print, result, dryRun } = context;
    const { scale, sweep, models, locks, seed, page } = options;
    const experiment = reproductions.get(context.arguments.experiment);
    requireOffered(experiment, options);
    experiment.requireChoice?.(scale, { models, locks });
    const folders = dataOf(experiment, models);
    // What is made of random numbers needs no folder.
    const data = options.data ?? (folders.length === 0 ? '' : dataFolder('give --data'));
    if (page !== undefined) await requirePage({ folder: page, name: pageName({ name: experiment.name, scale }) });
    const inputs: Record<string, string> = {};
    for (const name of folders) inputs[name] = await digestOfFolder(dataSetFolder(data, name));
    const chosen = { sweep, models, locks, seed, data, signal, engine: { threads, device }, workers: threads };
    if (dryRun) {
      const { path, state } = await context.locateRunFolder(inputs);
      print(
        `would run ${experiment.name} at scale ${scale} ${folders.length === 0 ? 'on random numbers' : `on ${folders.join(', ')} in ${data}`}; ${path} (${state})`,
      );
      const parts = await planReproduction(experiment, scale, chosen);
      print(`\n${tableToText(planTable(parts))}`);
      return 0;
    }
    const { found, folder } = await runOnce(context, 'reproduce', {
      inputs,
      compute: (run) => experiment.run(scale, { ...chosen, folder: run, progress: phaseProgress(context, run) }),
      write: async (reproduced, run) => {
        const origin = reportOrigin(await readOrigin(run.path));
        await writeFileAtomic(run.file('report.html'), renderReport(await reproductionReport(reproduced, origin)));
      },
    });
    const { tables, sentences } = summarizeReproduction(found);
    for (const sentence of found.setup) print(sentence);
    for (const table of tables) print(`\n${tableToText(table)}`);
    for (const sentence of sentences) print(`\n${sentence}`);
    if (page !== undefined) {
      const report = await reproductionPage(found, reportOrigin(await readOrigin(folder.path)));
      print(`\n${await writePage(report, { folder: page, name: pageName(found) })}`);
    }
    print(`\n${folder.file('report.html')}`);
    result({ ...found, report: folder.file('report.html') });
    return found.claims.some(({ verdict }) => verdict === 'fails') ? 1 : 0;
  },
});

/**
 * Refuses what an experiment has not.
 *
 * @throws InputError naming the option.
 */
function requireOffered(
  { name, scales: offered, canSkipSweep, models: known, locks: methods }: Reproduction,
  { scale, sweep, models, locks }: { scale: Scale; sweep: Sweep } & Partial<Record<'models' | 'locks', string[]>>,
): void {
  if (!offered.includes(scale)) {
    throw new InputError(`--scale: expected one of ${offered.join(', ')} for ${name}, found ${scale}`);
  }
  if (sweep === 'none' && !canSkipSweep) {
    throw new InputError(`--sweep none: expected an experiment that searches beside the paper's cells, found ${name}`);
  }
  const choices = { models: [models, known && Object.keys(known)], locks: [locks, methods] } as const;
  for (const [option, [chosen, names]] of Object.entries(choices)) {
    if (!chosen) continue;
    if (!names) throw new InputError(`--${option}: expected an experiment with a choice of ${option}, found ${name}`);
    const unknown = chosen.find((each) => !names.includes(each));
    if (unknown !== undefined) {
      throw new InputError(`--${option}: expected some of ${names.join(', ')} for ${name}, found ${unknown}`);
    }
  }
}

/** The folders that an experiment reads: none of those that models read which were not chosen, all of those of the chosen ones. */
function dataOf({ data, models: known }: Reproduction, models?: readonly string[]): readonly string[] {
  if (!known || !models) return data;
  const of = (names: readonly string[]) => new Set(names.flatMap((name) => known[name] ?? []));
  const [all, chosen] = [of(Object.keys(known)), of(models)];
  return [...new Set([...data.filter((folder) => !all.has(folder)), ...chosen])];
}

/** What would be done, part by part, and all of it. */
function planTable(parts: readonly PlannedPart[]): Table {
  const sum = (of: (part: PlannedPart) => number) => parts.reduce((total, part) => total + of(part), 0);
  const all: PlannedPart = {
    name: 'all',
    runs: sum(({ runs }) => runs),
    steps: sum(({ steps }) => steps),
    seconds: sum(({ seconds }) => seconds),
    bytes: Math.max(...parts.map(({ bytes }) => bytes)),
  };
  const kept = Math.max(...parts.map(({ keptBytes = 0 }) => keptBytes));
  const others =
    kept > 0 ? `; programs that are kept for texts of other lengths take up to ${(kept / 1e9).toFixed(1)} GB more` : '';
  const right = { align: 'right' as const };
  return {
    title: 'What would be done, at most',
    columns: [
      { key: 'name', header: 'part' },
      { key: 'runs', header: 'runs', ...right },
      { key: 'steps', header: 'steps', ...right },
      { key: 'time', header: 'time', ...right },
      { key: 'memory', header: 'memory', ...right },
    ],
    rows: [...parts, all].map(({ name, runs, steps, seconds, bytes }) => ({
      ...{ name, runs: runs.toLocaleString('en'), steps: steps.toLocaleString('en') },
      ...{ time: formatDuration(seconds), memory: `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB` },
    })),
    notes: [
      `Time: at the pace of a few steps, just measured here; trials that are given up take less. Memory: of the tensors of a step, in all processes${others}.`,
    ],
  };
}
