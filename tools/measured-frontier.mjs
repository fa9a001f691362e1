// node tools/measured-frontier.mjs RUN…: what `weightlock lock --recommend` knows, from the results of runs of `reproduce frontier`.
// Of a model that several runs measured the last one counts; of one that none measured what the file had stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const runs = process.argv.slice(2);
if (runs.length === 0) {
  console.error('expected folders of runs of `reproduce frontier`, got none');
  process.exit(2);
}
const file = new URL('../src/experiments/recommend/measured-frontier.ts', import.meta.url);
const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
  compilerOptions: { module: ts.ModuleKind.ESNext },
});
const { measuredFrontier } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);

const byModel = new Map();
const add = (points) => {
  for (const model of new Set(points.map((point) => point.model))) {
    byModel.set(
      model,
      points.filter((point) => point.model === model),
    );
  }
};
add(measuredFrontier);
for (const run of runs) add(JSON.parse(readFileSync(join(run, 'result.json'), 'utf8')).frontier.points);
writeFileSync(
  file,
  `// Written by tools/measured-frontier.mjs from results of \`weightlock reproduce frontier\`; not edited by hand. A model with one number each of
// utility lost and KL is as its page had it, with means over draws alone: its run was not kept.
import type { FrontierPoint } from '../reproduce/reproduction.js';

/** What locks were measured to cost and to leave, by model and method: the pages of the frontier in docs/results as data. */
export const measuredFrontier: readonly FrontierPoint[] = ${JSON.stringify([...byModel.values()].flat(), null, 2)};
`,
);
