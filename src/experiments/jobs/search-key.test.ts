import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AttackTask } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { searchKeys } from './search-key.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-search-key-'));
  for (const seed of [1, 2]) {
    await saveModel(join(root, `net-${seed}`), initializeModel('mlp', { num_labels: 2, hidden_sizes: [4] }, seed));
  }
  await texts('texts', 'good');
  await texts('others', 'bad');
  await mkdir(join(root, 'moved'));
  for (const name of ['net-1', 'net-2', 'texts'])
    await cp(join(root, name), join(root, 'moved', name), { recursive: true });
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function texts(name: string, word: string): Promise<void> {
  await mkdir(join(root, name));
  await writeFile(join(root, name, 'train.tsv'), `text\tlabel\na ${word} film\t1\nno\t0\n`);
  await writeFile(join(root, name, 'test.tsv'), 'text\tlabel\nyes\t1\n');
}

/** A search with its files in a folder. */
const taskIn = (folder: string, more: Partial<AttackTask> = {}): AttackTask => ({
  ...{ id: 'one', optimizer: { name: 'sgd' }, steps: 4, batchSize: 2 },
  start: { kind: 'model', path: join(folder, 'net-1'), draws: [join(folder, 'net-2')] },
  data: dataSpec.parse({ path: join(folder, 'texts') }),
  transforms: [{ name: 'interpolate', options: { parent: join(folder, 'net-2'), weight: 0.5 } }],
  budget: { decades: [-1], searchSeeds: [11], seeds: [1] },
  ...more,
});
const key = (task: AttackTask) => searchKeys()(task);

it('is the same wherever the files lie, and whatever a search is called', async () => {
  const own = await key(taskIn(root));
  expect(own).toMatch(/^[0-9a-f]{12}$/);
  expect(await key(taskIn(join(root, 'moved')))).toBe(own);
  expect(await key(taskIn(root, { id: 'two' }))).toBe(own);
});

it('is another for whatever else decides what a search finds', async () => {
  const start = (path: string, draws?: string[]) => ({ kind: 'model' as const, path, ...(draws && { draws }) });
  const [one, two] = ['net-1', 'net-2'].map((name) => join(root, name));
  const keys = await Promise.all(
    [
      {},
      { steps: 5 },
      { start: start(one) },
      { start: start(two, [two]) },
      { start: start(one, [one]) },
      { data: dataSpec.parse({ path: join(root, 'others') }) },
      { data: dataSpec.parse({ path: join(root, 'texts'), limit: 2 }) },
      { retain: dataSpec.parse({ path: join(root, 'others') }) },
      { transforms: [{ name: 'interpolate', options: { parent: one, weight: 0.5 } }] },
      { budget: { decades: [-1], searchSeeds: [11], seeds: [2] } },
    ].map((more) => key(taskIn(root, more))),
  );
  expect(new Set(keys).size).toBe(keys.length);
});
