import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { FolderStore } from './folder-store.js';
import { filesOf } from './tree.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-store-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('a store in a folder', () => {
  it('has one identity, whoever opens it, and refuses a folder of other things', async () => {
    const folder = join(root, 'identity');
    const all = await Promise.all(Array.from({ length: 5 }, () => FolderStore.open(folder)));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    mkdirSync(join(root, 'photos'));
    writeFileSync(join(root, 'photos', 'a.jpg'), '');
    await expect(FolderStore.open(join(root, 'photos'))).rejects.toThrow(
      'photos: expected an empty folder or one of artifacts, found a.jpg in it',
    );
  });

  it('keeps the first of what is kept under a key, whole, whoever else does at the same time', async () => {
    const store = await FolderStore.open(join(root, 'first'));
    expect(await store.read('results/a.json')).toBeUndefined();
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
    const first = await Promise.all(texts.map((text) => store.keep('results/a.json', text)));
    expect(first.filter((was) => was)).toHaveLength(1);
    expect(await store.read('results/a.json')).toBe(texts[first.indexOf(true)]);
    expect(await store.keep('results/a.json', 'late')).toBe(false);
    expect(readdirSync(join(root, 'first', 'results'))).toEqual(['a.json']);
    await store.forget('results/a.json');
    expect(await store.keep('results/a.json', 'anew')).toBe(true);
  });

  it.each(['../outside', 'results/../../outside', '/etc/passwd', 'results/.hidden', 'results', 'results/a\0b'])(
    'knows no key %j',
    async (key) => {
      const store = await FolderStore.open(join(root, 'keys'));
      await expect(store.keep(key, '')).rejects.toThrow('expected a key of plain names');
      await expect(store.read(key)).rejects.toThrow('expected a key of plain names');
    },
  );

  it('gives back a folder as it was, and not as somebody changed it', async () => {
    const given = join(root, 'given');
    mkdirSync(join(given, 'inner'), { recursive: true });
    writeFileSync(join(given, 'config.json'), '{}');
    writeFileSync(join(given, 'inner', 'weights.bin'), Buffer.alloc(100_000, 7));
    writeFileSync(join(given, '.hidden'), 'no');
    symlinkSync('/etc/hostname', join(given, 'link'));
    const files = await filesOf(given);
    expect(files.map(({ name }) => name).sort()).toEqual(['config.json', 'inner/weights.bin']);
    const folder = join(root, 'trees');
    const store = await FolderStore.open(folder);
    const digest = await store.keepTree(files);
    expect(await store.keepTree(files.toReversed())).toBe(digest);
    const found = await store.tree(digest);
    expect((await filesOf(found)).map(({ name }) => name).sort()).toEqual(['config.json', 'inner/weights.bin']);

    await expect(store.tree('f'.repeat(64))).rejects.toThrow('expected files of this digest, found none');
    await expect(store.tree('../../etc')).rejects.toThrow('expected a digest of files');
    writeFileSync(join(found, 'inner', 'weights.bin'), Buffer.alloc(100_000, 8));
    await expect((await FolderStore.open(folder)).tree(digest)).rejects.toThrow(/weights\.bin: expected SHA-256 /);
    writeFileSync(join(found, 'inner', 'weights.bin'), Buffer.alloc(100_000, 7));
    writeFileSync(join(found, 'more.py'), 'print()');
    await expect((await FolderStore.open(folder)).tree(digest)).rejects.toThrow(
      /expected the files of .*, found others/,
    );
  });

  it.each([
    ['{"config.json": "12', /list\.json: expected JSON, /],
    ['{"config.json": "12"}', /list\.json: expected digests by file names$/],
    ['[]', /list\.json: expected digests by file names$/],
  ])('names the list of files that is %s', async (content, message) => {
    const store = await FolderStore.open(join(root, 'lists'));
    const given = join(root, 'listed.txt');
    writeFileSync(given, content);
    const digest = await store.keepTree([{ name: 'config.json', path: given }]);
    writeFileSync(join(root, 'lists', 'trees', digest, 'list.json'), content);
    // Another attempt finds the same.
    await expect(store.tree(digest)).rejects.toThrow(InputError);
    await expect(store.tree(digest)).rejects.toThrow(message);
  });
});
