import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { readRun } from '../../evidence/index.js';
import { attackOptions, demoOptions, fromResultFile, type ResultKind } from '../../experiments/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import { InputError } from '../../registry/index.js';
import {
  attackReport,
  demoReport,
  pageName,
  type Report,
  renderReport,
  reportOrigin,
  reproductionPage,
  reproductionReport,
  sweepReport,
} from '../../report/index.js';
import { defineCommand } from '../command.js';
import { requireOwnFile } from '../output-files.js';
import { requirePage, writePage } from '../write-page.js';

/** How the pages of this command begin. */
const REPORT_START =
  '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"';

/** `weightlock report`: the HTML report of a run, made anew from its results. */
export const report = defineCommand({
  name: 'report',
  summary:
    'Write the report of a finished demo, attack, sweep or reproduction again, from its results, as HTML or Markdown.',
  arguments: [{ name: 'run', description: 'Run folder, such as runs/demo-0123456789ab.', required: true }],
  schema: z.strictObject({
    output: z.string().optional().describe('HTML file to write; default report.html in the run folder'),
    page: z.string().optional().describe('folder to write it to as a Markdown page with its charts, instead of HTML'),
    name: z
      .string()
      .regex(/^[\w-][\w.-]*$/, 'expected letters, digits, "-", "_" and "."')
      .optional()
      .describe("what the page's file is called, without .md; default the experiment, or the run folder"),
    title: z.string().optional().describe('title of the page or report; default that of the command'),
  }),
  examples: [
    'weightlock report runs/demo-0123456789ab --output report.html',
    'weightlock report runs/reproduce-0123456789ab --page docs/results',
    'weightlock report runs/attack-0123456789ab --page docs/results --name suite-demo --title "The standard suite on the demo"',
  ],
  run: async ({ arguments: { run }, options, dryRun, print, result }) => {
    const finished = await readRun(run);
    const { command, config } = finished;
    const file = join(run, 'result.json');
    const read = <Kind extends ResultKind>(kind: Kind) => fromResultFile(kind, finished.result, file);
    const origin = reportOrigin(finished);
    const known = (schema: z.ZodObject) =>
      Object.fromEntries(Object.entries(config).filter(([key]) => key in schema.shape));
    if (options.page === undefined && options.name !== undefined) {
      throw new InputError('--name: expected --page with it, found none');
    }
    if (options.page !== undefined && options.output !== undefined) {
      throw new InputError('--output: expected none beside --page, which is written instead, found one');
    }
    const isPage = options.page !== undefined;
    let made: Report;
    let usual = basename(resolve(run));
    if (command === 'demo') made = await demoReport(read('demo'), demoOptions.parse(known(demoOptions)), origin);
    else if (command === 'attack') {
      made = await attackReport(read('attack'), attackOptions.parse(known(attackOptions)), origin);
    } else if (command === 'reproduce') {
      const found = read('reproduce');
      made = await (isPage ? reproductionPage : reproductionReport)(found, origin);
      usual = pageName(found);
    } else if (command === 'sweep') made = await sweepReport(read('sweep'), origin);
    else throw new InputError(`${run}: expected a run of demo, attack, sweep or reproduce, found one of ${command}`);
    const titled = { ...made, title: options.title ?? made.title };
    if (options.page !== undefined) {
      const place = { folder: options.page, name: options.name ?? usual };
      await requirePage(place);
      const written = dryRun ? options.page : await writePage(titled, place);
      print(dryRun ? `would write into ${written}` : written);
      result({ output: written });
      return 0;
    }
    const output = options.output ?? join(run, 'report.html');
    await requireOwnFile(output, { what: 'a report', isOwn: (head) => head.startsWith(REPORT_START) });
    if (!dryRun) await writeFileAtomic(output, renderReport(titled));
    print(dryRun ? `would write ${output}` : output);
    result({ output });
    return 0;
  },
});
