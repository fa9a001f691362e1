// node tools/measured-frontier.mjs RUN…: what `weightlock lock --recommend` knows, from the results of runs of `reproduce frontier`.
// Of a model that several runs measured the last one counts.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const runs = process.argv.slice(2);
if (runs.length === 0) {
  console.error('expected folders of runs of `reproduce frontier`, got none');
  process.exit(2);
}
const byModel = new Map();
for (const run of runs) {
  const { frontier, scale } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'));
  const points = Map.groupBy
    ? Map.groupBy(frontier.points, ({ model }) => model)
    : frontier.points.reduce((map, point) => map.set(point.model, [...(map.get(point.model) ?? []), point]), new Map());
  for (const [model, own] of points) byModel.set(model, { scale, points: own });
}
const points = [...byModel.values()].flatMap(({ points: own }) => own);
const scales = [...byModel].map(([model, { scale }]) => `${model}: ${scale}`).join(', ');
writeFileSync(
  new URL('../src/experiments/recommend/measured-frontier.ts', import.meta.url),
  `// Written by tools/measured-frontier.mjs from results of \`weightlock reproduce frontier\` (${scales}); not edited by hand.
import type { FrontierPoint } from '../reproduce/reproduction.js';

/** What locks were measured to cost and to leave, by model and method: docs/results/frontier.md as data. */
export const measuredFrontier: readonly FrontierPoint[] = ${JSON.stringify(points, null, 2)};
`,
);
