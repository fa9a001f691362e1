// node tools/measured-frontier.mjs [--anew] [RUN…]: what `weightlock lock --recommend` knows, from the results of runs of `reproduce frontier`, and
// the page of all of them, docs/results/frontier-all.md (after `npm run build`). Of a lock of a model that several runs measured the last one
// counts; what none measured stays as the file had it, with --anew only that of other models.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { lockMethods } from '../dist/locks/index.js';
import { frontierChart, frontierTable, pageStart, tableToMarkdown } from '../dist/report/index.js';

const isAnew = process.argv[2] === '--anew';
const runs = process.argv.slice(isAnew ? 3 : 2);
const file = new URL('../src/experiments/recommend/measured-frontier.ts', import.meta.url);
const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
  compilerOptions: { module: ts.ModuleKind.ESNext },
});
const { measuredFrontier } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);

const found = runs.map((run) => JSON.parse(readFileSync(join(run, 'result.json'), 'utf8')).frontier.points);
const again = new Set(isAnew ? found.flat().map(({ model }) => model) : []);
const kept = measuredFrontier.filter(({ model }) => !again.has(model));
// By model and then by lock, each where it came first.
const byModel = new Map();
for (const point of [kept, ...found].flat()) {
  const locks = byModel.get(point.model) ?? new Map();
  locks.set(point.method, point);
  byModel.set(point.model, locks);
}
const points = [...byModel.values()].flatMap((locks) => [...locks.values()]);
writeFileSync(
  file,
  `// Written by tools/measured-frontier.mjs from results of \`weightlock reproduce frontier\`; not edited by hand. A model with one number each of
// utility lost and KL is as its page had it, with means over draws alone: its run was not kept.
import type { FrontierPoint } from '../reproduce/reproduction.js';

/** What locks were measured to cost and to leave, by model and method: the pages of the frontier in docs/results as data. */
export const measuredFrontier: readonly FrontierPoint[] = ${JSON.stringify(points, null, 2)};
`,
);

const title = 'All locks on all models: utility lost, advantage left, owner’s computing';
const frontier = { title, name: 'locks', points };
const folder = new URL('../docs/results/', import.meta.url);
const { svg } = await frontierChart(frontier);
writeFileSync(new URL('frontier-all-locks.svg', folder), svg);
const models = new Set(points.map(({ model }) => model)).size;
const measured = new Set(points.map(({ method }) => method));
const unmeasured = lockMethods.names().filter((name) => !measured.has(name));
const lines = [
  pageStart,
  `# ${title}`,
  `What [the runs of the frontier](README.md) measured on ${models} models, as one table and one chart; how each was measured, with its seeds and its verdicts, is on the page of its model. Numbers of different models are not to be compared: their tasks, budgets and floors differ. A row “sham of …” is the control: that lock's training without the lock; “sham lock” is that of specdef. Where n is 1, a mean over three draws is all that was kept.`,
  `Measured on none of them: ${unmeasured.join(', ')}.`,
  `![${title}](frontier-all-locks.svg)`,
  tableToMarkdown({ ...frontierTable(frontier), title: undefined }),
];
writeFileSync(new URL('frontier-all.md', folder), `${lines.join('\n\n')}\n`);
