import { join } from 'node:path';
import { z } from 'zod';
import { readRun } from '../../evidence/index.js';
import { attackOptions, demoOptions, fromResultFile, type ResultKind } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { InputError } from '../../registry/index.js';
import { attackReport, demoReport, reportOrigin, reproductionReport, sweepReport } from '../../report/index.js';
import { defineCommand } from '../command.js';
import { requireOwnFile } from '../output-files.js';
import { requirePage, writePage } from '../write-page.js';

/** How the pages of this command begin. */
const REPORT_START =
  '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"';

/** `weightlock report`: the HTML report of a run, made anew from its results. */
export const report = defineCommand({
  name: 'report',
  summary: 'Write the HTML report of a finished demo, attack, sweep or reproduction again, from its results.',
  arguments: [{ name: 'run', description: 'Run folder, such as runs/demo-0123456789ab.', required: true }],
  schema: z.strictObject({
    output: z.string().optional().describe('HTML file to write; default report.html in the run folder'),
    page: z
      .string()
      .optional()
      .describe('folder to write a reproduction to as a Markdown page with its charts, instead of HTML'),
  }),
  examples: [
    'weightlock report runs/demo-0123456789ab --output report.html',
    'weightlock report runs/reproduce-0123456789ab --page docs/results',
  ],
  run: async ({ arguments: { run }, options, dryRun, print, result }) => {
    const finished = await readRun(run);
    const { command, config } = finished;
    const file = join(run, 'result.json');
    const read = <Kind extends ResultKind>(kind: Kind) => fromResultFile(kind, finished.result, file);
    const output = options.output ?? join(run, 'report.html');
    const origin = reportOrigin(finished);
    const known = (schema: z.ZodObject) =>
      Object.fromEntries(Object.entries(config).filter(([key]) => key in schema.shape));
    if (options.page !== undefined) {
      if (command !== 'reproduce') {
        throw new InputError(`${run}: expected a run of reproduce for --page, found one of ${command}`);
      }
      const found = read('reproduce');
      await requirePage(found, options.page);
      const written = dryRun ? options.page : await writePage(found, origin, options.page);
      print(dryRun ? `would write into ${written}` : written);
      result({ output: written });
      return 0;
    }
    await requireOwnFile(output, { what: 'a report', isOwn: (head) => head.startsWith(REPORT_START) });
    let page: string;
    if (command === 'demo') page = await demoReport(read('demo'), demoOptions.parse(known(demoOptions)), origin);
    else if (command === 'attack') {
      page = await attackReport(read('attack'), attackOptions.parse(known(attackOptions)), origin);
    } else if (command === 'reproduce') page = await reproductionReport(read('reproduce'), origin);
    else if (command === 'sweep') page = await sweepReport(read('sweep'), origin);
    else throw new InputError(`${run}: expected a run of demo, attack, sweep or reproduce, found one of ${command}`);
    if (!dryRun) await writeFileAtomic(output, page);
    print(dryRun ? `would write ${output}` : output);
    result({ output });
    return 0;
  },
});
