import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeIdxFolder } from '../../../test/support/image-data.js';
import type { AttackTask } from '../../attacks/index.js';
import { dataSpec, loadData } from '../../data/index.js';
import { initializeModel, loadModel, saveModel } from '../../models/index.js';
import { FolderStore, filesOf } from '../../queue/index.js';
import { loadTokenizer } from '../../text/index.js';
import { dataWithPaths, withPaths } from '../jobs/task-paths.js';
import { foundPaths, keptPaths } from './paths.js';

let root: string;
let store: FolderStore;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-paths-'));
  store = await FolderStore.open(join(root, 'store'));
  await saveModel(join(root, 'model'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [4] }, 1));
  await saveModel(join(root, 'parent'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [4] }, 2));
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data', 'texts.csv'), 'text,label\na,0\nb,1\n');
  writeFileSync(join(root, 'data', 'private.csv'), 'text,label\nc,0\n');
});
/** Files of a reference in the store. */
const filesIn = async (reference: unknown) => {
  const [, digest] = /^artifact:([0-9a-f]{64})/.exec(String(reference)) ?? [];
  return (await filesOf(await store.tree(digest ?? ''))).map(({ name }) => name);
};

it('of a folder where much else lies, a sweep takes the files that the data are, and is the same whatever else changes', async () => {
  const folder = join(root, 'work');
  await writeIdxFolder(join(root, 'plain'));
  mkdirSync(join(folder, 'runs', 'lock-1'), { recursive: true });
  writeFileSync(join(folder, 'runs', 'lock-1', 'secret.key'), 'secret');
  const names = readdirSync(join(root, 'plain'));
  for (const set of ['letters', 'balanced']) {
    for (const name of names) copyFileSync(join(root, 'plain', name), join(folder, `${set}-${name}`));
  }
  const data = dataSpec.parse({ path: join(folder, 'letters-train-images-idx3-ubyte') });
  const moved = await dataWithPaths(data, keptPaths(store));
  expect(await filesIn(moved.path)).toEqual(names.map((name) => `letters-${name}`).sort());
  writeFileSync(join(folder, 'notes.txt'), 'changed');
  expect(await dataWithPaths(data, keptPaths(store))).toEqual(moved);
  const [here, there] = await Promise.all([data, await dataWithPaths(moved, foundPaths(store))].map(loadData));
  expect(there.train.labels).toEqual(here.train.labels);
});

it('of the folder of a tokenizer, which may be a model, its own files alone are taken', async () => {
  const folder = join(root, 'reader');
  cpSync('test/fixtures/tokenizers/wordpiece', folder, { recursive: true });
  const path = join(root, 'data', 'texts.csv');
  const tokenizerOf = async () =>
    (await dataWithPaths(dataSpec.parse({ path, tokenizer: folder }), keptPaths(store))).tokenizer;
  const alone = await tokenizerOf();
  expect(await filesIn(alone)).toContain('tokenizer.json');
  copyFileSync(join(root, 'model', 'model.safetensors'), join(folder, 'model.safetensors'));
  expect(await tokenizerOf()).toBe(alone);
  const there = await foundPaths(store).tokenizer(String(alone));
  expect((await loadTokenizer(there)).digest).toBe((await loadTokenizer(folder)).digest);
  await expect(keptPaths(store).tokenizer(join(root, 'plain'))).rejects.toThrow(
    /plain.tokenizer\.json: expected the model's tokenizer, found none/,
  );
});

it('data are what they were by the name of their folder, which a copy does not have', async () => {
  const folder = join(root, 'fashion-mnist');
  await writeIdxFolder(folder);
  writeFileSync(join(folder, 'README.md'), 'clothes');
  const data = dataSpec.parse({ path: folder });
  const moved = await dataWithPaths(data, keptPaths(store));
  expect(await filesIn(moved.path)).not.toContain('README.md');
  const [here, there] = await Promise.all([data, await dataWithPaths(moved, foundPaths(store))].map(loadData));
  expect(here.train.classes).toContain('Sandal');
  expect(there.train.classes).toEqual(here.train.classes);
  expect(there.train.preprocessing).toEqual(here.train.preprocessing);
});

afterAll(() => rm(root, { recursive: true, force: true }));

const task = (start: AttackTask['start'], parent: string): AttackTask => ({
  id: 'one',
  start,
  transforms: [
    { name: 'interpolate', options: { parent, weight: 0.25 } },
    { name: 'clip', options: { topK: 2 } },
  ],
  optimizer: { name: 'adamw', options: {} },
  data: dataSpec.parse({ path: join(root, 'data', 'texts.csv') }),
  steps: 1,
  batchSize: 1,
  budget: { decades: [0], searchSeeds: [1], seeds: [2] },
});

it('every path of a task becomes a reference to a copy of what it names, and back', async () => {
  const own = join(root, 'model');
  const given = task({ kind: 'model', path: own, draws: [join(root, 'parent')] }, join(root, 'parent'));
  const moved = await withPaths(given, keptPaths(store));
  expect(JSON.stringify(moved)).not.toContain(root);
  const found = await withPaths(moved, foundPaths(store));
  const { start, transforms, data } = found;
  if (start.kind !== 'model') throw new Error('expected a model');
  const weights = async (path: string) =>
    [...(await loadModel(path)).weights.values()].map(({ data: each }) => [...each]);
  expect(await weights(start.path)).toEqual(await weights(own));
  expect(await weights(start.draws?.[0] ?? '')).toEqual(await weights(join(root, 'parent')));
  expect(transforms?.[1]).toEqual(given.transforms?.[1]);
  expect(transforms?.[0].options).toEqual({ parent: start.draws?.[0], weight: 0.25 });
  // Of a table that alone is asked for, what lies beside it stays where it is.
  expect(data.path).toMatch(/texts\.csv$/);
  expect(JSON.stringify(await store.tree(String(data.path).split('/').at(-3) ?? ''))).not.toContain('private');
});

it('what is no reference is not followed', async () => {
  const start = { kind: 'random', like: `artifact:${'0'.repeat(64)}` } as const;
  await expect(withPaths(task(start, join(root, 'parent')), foundPaths(store))).rejects.toThrow(
    'expected files of this',
  );
  const { like } = { like: await keptPaths(store).model(join(root, 'model')) };
  await expect(withPaths(task({ kind: 'random', like }, '/etc'), foundPaths(store))).rejects.toThrow(
    'expected artifact: and a digest, found "/etc"',
  );
  await expect(foundPaths(store).model(`${like}/..`)).rejects.toThrow('expected a file name inside this folder');
});
