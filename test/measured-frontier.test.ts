import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ModelKind, measuredFrontier, recommendLock } from '../src/experiments/index.js';
import { frontierTable, tableToMarkdown } from '../src/report/index.js';

const folder = join(import.meta.dirname, '../docs/results');
const all = 'frontier-all.md';
const pages = readdirSync(folder).filter((name) => /^frontier.*\.md$/.test(name) && name !== all);

/** What the pages say is left of each lock, by the headings of the table. */
const published = pages.flatMap((name) => {
  const rows = readFileSync(join(folder, name), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const head = rows.findIndex((cells) => cells.includes('advantage left in score'));
  const end = rows.findIndex((cells, index) => index > head && cells.includes('verdict'));
  const columns = ['model', 'lock', 'advantage left in score', 'in cost'].map((header) => rows[head]?.indexOf(header));
  return rows.slice(head + 2, end).map((cells) => columns.map((column) => cells[column ?? -1]));
});

it('is what the pages of the frontier say, of all models that have one', () => {
  const measured = frontierTable({ title: '', name: '', points: measuredFrontier }).rows;
  const known = measured.map(({ model, method, score, cost }) => [model, method, score, cost]);
  expect(published.length).toBeGreaterThan(10);
  expect(known).toEqual(expect.arrayContaining(published));
  expect(known).toHaveLength(published.length);
});

it('is one table on a page of its own', () => {
  const table = tableToMarkdown({
    ...frontierTable({ title: '', name: '', points: measuredFrontier }),
    title: undefined,
  });
  expect(readFileSync(join(folder, all), 'utf8')).toContain(table);
});

it('compares a network with batch norm with one that has it', async () => {
  const kind: ModelKind = { input: 'images', hasBatchNorm: true, release: 'narrow' };
  const { likest, differs, candidates, best } = await recommendLock(kind, measuredFrontier, async () => undefined);
  expect({ likest, differs }).toEqual({ likest: 'ResNet-20', differs: [] });
  const methods = ['erase', 'rebalance', 'redistil', 'repnoise', 'specdef', 'tar'];
  expect(candidates.map(({ point }) => point.method).sort()).toEqual(methods);
  expect(best).toBeUndefined();
});

it('knows a lock of text classifiers that takes a part, for more than a point of utility', async () => {
  const kind: ModelKind = { input: 'texts', hasBatchNorm: false, release: 'narrow' };
  const proposal = (maxLost?: number) => recommendLock(kind, measuredFrontier, async () => undefined, { maxLost });
  expect((await proposal()).candidates).toMatchObject([{ strength: 'takes a part', against: 'utility' }]);
  expect((await proposal(0.05)).best?.point.method).toBe('erase');
});

it('recommends nothing as long as the page on locks says so', async () => {
  const text = readFileSync(join(folder, '../locks.md'), 'utf8');
  const kinds = measuredFrontier.flatMap(({ kind }) => kind ?? []);
  const found = await Promise.all(kinds.map((kind) => recommendLock(kind, measuredFrontier, async () => undefined)));
  expect(text.includes('no lock is recommended to anyone')).toBe(found.every(({ best }) => best === undefined));
});
