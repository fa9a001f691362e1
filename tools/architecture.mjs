// Writes the graph and the table of layers in docs/architecture.md from what src/ really imports.
//
//     node tools/architecture.mjs [--check]
//
// The order of the layers is that of .dependency-cruiser.cjs; what a layer is for stands in the table and is kept. With
// --check nothing is written, and a page that is out of date ends with 1.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';

const PAGE = 'docs/architecture.md';
const [BEGIN, END] = ['<!-- layers: written by `npm run docs:layers` -->', '<!-- end of layers -->'];
const UNDESCRIBED = 'to be described';

const config = createRequire(import.meta.url)(resolve('.dependency-cruiser.cjs'));
const imports = await importsByFolder();
const order = layersInOrder().filter((layer) => imports.has(layer));
for (const [index, layer] of order.entries()) {
  const upward = order.slice(index).find((other) => imports.get(layer).has(other));
  // The arrows below are followed to their ends.
  if (upward) fail(`src/${layer} imports src/${upward}, which comes after it in .dependency-cruiser.cjs`);
}
const page = readFileSync(PAGE, 'utf8');
const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
if (begin < 0 || end < begin) fail(`${PAGE}: expected the lines ${BEGIN} and ${END}`);
const block = [BEGIN, '', ...mermaid(), '', ...table(page.slice(begin, end)), '', END].join('\n');
const wanted = page.slice(0, begin) + block + page.slice(end + END.length);

if (!process.argv.includes('--check')) {
  if (wanted !== page) writeFileSync(PAGE, wanted);
} else if (wanted !== page) fail(`${PAGE} is out of date: run \`npm run docs:layers\``);
const undescribed = table(wanted).filter((row) => row.includes(UNDESCRIBED));
if (undescribed.length > 0) fail(`${PAGE}: say what these layers are for:\n${undescribed.join('\n')}`);

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** The names within the parentheses of the rule `known-folders`, which holds them all. */
function layersInOrder() {
  const [pattern] = config.forbidden.find(({ name }) => name === 'known-folders').from.pathNot;
  return /\(([^)]+)\)/.exec(pattern)[1].split('|');
}

/** What each folder of src/ imports from others, tests aside. */
async function importsByFolder() {
  const { output } = await cruise(
    ['src'],
    { ...config.options, exclude: { path: '\\.(test|slow)\\.ts$' } },
    undefined,
    {
      tsConfig: extractTSConfig(config.options.tsConfig.fileName),
    },
  );
  const folderOf = (path) => /^src\/([^/]+)\//.exec(path)?.[1];
  const found = new Map();
  for (const { source, dependencies } of output.modules) {
    const from = folderOf(source);
    if (from === undefined) continue;
    if (!found.has(from)) found.set(from, new Set());
    for (const { resolved } of dependencies) {
      const to = folderOf(resolved);
      if (to !== undefined && to !== from) found.get(from).add(to);
    }
  }
  return found;
}

/** The ground floor first. An arrow that others imply is left out: what a layer imports can be reached along arrows. */
function mermaid() {
  // A bare "graph" is a keyword of Mermaid.
  const node = (layer) => (layer === 'graph' ? 'graph_[graph]' : layer);
  const reaches = (from, to) => imports.get(from).has(to) || [...imports.get(from)].some((next) => reaches(next, to));
  const arrows = order.flatMap((to) =>
    order
      .filter((from) => imports.get(from).has(to))
      .filter((from) => ![...imports.get(from)].some((next) => next !== to && reaches(next, to)))
      .map((from) => `  ${node(to)} --> ${node(from)}`),
  );
  return ['```mermaid', 'flowchart TD', ...arrows, '```'];
}

function table(before) {
  const kept = new Map([...before.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, layer, text]) => [layer, text]));
  return [
    '| folder | what it is | imports |',
    '| --- | --- | --- |',
    ...order.map((layer) => {
      const from = order.filter((other) => imports.get(layer).has(other));
      return `| \`${layer}\` | ${kept.get(layer) ?? UNDESCRIBED} | ${from.join(', ') || '–'} |`;
    }),
  ];
}
