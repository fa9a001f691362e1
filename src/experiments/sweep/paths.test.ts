import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AttackTask } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { initializeModel, loadModel, saveModel } from '../../models/index.js';
import { FolderStore } from '../../queue/index.js';
import { foundPaths, keptPaths, withPaths } from './paths.js';

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
  await expect(foundPaths(store).data(`${like}/..`)).rejects.toThrow('expected a file name inside this folder');
});
