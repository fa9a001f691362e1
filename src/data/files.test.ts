import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { write, writeCifarFolder, writeIdxFolder, writeImageFolder } from '../../test/support/image-data.js';
import { type Collection, type DataLayout, dataFiles, dataSources, dataSpec } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-data-files-'));
});
afterAll(() => rm(root, { recursive: true }));

const writeText = (path: string, text: string) => write(path, Buffer.from(text));
const lines = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');
const tsv = (count: number) => `text\tlabel\n${lines(count, (index) => `words of ${index}\t${index % 2}`)}`;
const prompts = (count: number) =>
  lines(count, (index) =>
    JSON.stringify({ prompt: `prompt ${index}`, split: index % 3 === 0 ? 'test' : 'train', duplicate_of: null }),
  );
const letters = async (folder: string, prefix: string) => {
  await writeIdxFolder(join(root, 'plain'));
  for (const name of idxNames) await copyFile(join(root, 'plain', name), join(folder, `${prefix}${name}`));
};

const idxNames = [
  't10k-images-idx3-ubyte.gz',
  't10k-labels-idx1-ubyte.gz',
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
];

/** Writes a small data set of a layout, and gives the names of its files. */
const layouts: Readonly<Record<Exclude<DataLayout, 'embedded'>, (folder: string) => Promise<readonly string[]>>> = {
  idx: async (folder) => {
    await writeIdxFolder(folder);
    return idxNames;
  },
  cifar: async (folder) => {
    await writeCifarFolder(folder);
    await writeText(
      join(folder, 'batches.meta.txt'),
      lines(10, (index) => `class ${index}`),
    );
    return ['batches.meta.txt', 'data_batch_1.bin', 'data_batch_2.bin.gz', 'test_batch.bin'];
  },
  images: async (folder) => {
    await writeImageFolder(join(folder, 'train'), { perClass: 2 });
    await writeImageFolder(join(folder, 'val'), { perClass: 1, start: 6 });
    await writeText(join(folder, 'train', 'cat', 'notes.txt'), 'a cat');
    const classes = ['cat', 'dog', 'eel'];
    return [
      ...classes.flatMap((name) => [`train/${name}/000.png`, `train/${name}/001.png`]),
      ...classes.map((name) => `val/${name}/000.png`),
    ];
  },
  table: async (folder) => {
    await writeText(join(folder, 'train.tsv'), tsv(30));
    await writeText(join(folder, 'dev.tsv'), tsv(8));
    await writeText(join(folder, 'mine.tsv'), tsv(8));
    return ['dev.tsv', 'train.tsv'];
  },
  prompts: async (folder) => {
    await writeText(join(folder, 'benign_instructions.jsonl'), prompts(60));
    await writeText(join(folder, 'jailbreak_in_the_wild.jsonl'), prompts(30));
    return ['benign_instructions.jsonl', 'jailbreak_in_the_wild.jsonl'];
  },
};

/** What lies in a folder where somebody works, and is no part of a data set. */
async function writeOthers(folder: string): Promise<void> {
  await writeText(join(folder, 'README.md'), 'how it was made');
  await writeText(join(folder, 'node_modules', 'x', 'index.js'), '1');
  await writeText(join(folder, 'runs', 'lock-1', 'secret.key'), 'secret');
  await writeText(join(folder, 'runs', 'artifacts', 'store-id'), 'id');
}

/** Copies some files of a folder, and gives the folder of the copies. */
async function copied(folder: string, names: readonly string[]): Promise<string> {
  const copies = await mkdtemp(join(root, 'copies-'));
  for (const name of names) {
    await mkdir(dirname(join(copies, name)), { recursive: true });
    await copyFile(join(folder, name), join(copies, name));
  }
  return copies;
}

function facts({ classes, train, validation, test, ...more }: Collection) {
  const labels = [train, validation, test].map((part) => part?.labels);
  return { classes, labels, normalization: 'normalization' in more && more.normalization };
}

const sources = dataSources
  .entries()
  .flatMap(({ name, layout }) => (layout === 'embedded' ? [] : [[name, layout] as const]));

it.each(sources)(
  '%s names the files that it reads, whatever lies beside them, and is the same of these alone',
  async (name, layout) => {
    const folder = join(root, name);
    const expected = await layouts[layout](folder);
    await writeOthers(folder);
    const found = await dataFiles(dataSpec.parse({ name, path: folder }));
    expect(found).toEqual({ source: name, folder, names: expected });
    const { open } = dataSources.get(name);
    expect(facts(await open(await copied(folder, found.names)))).toEqual(facts(await open(folder)));
    // Found out by the folder's name and what lies in it, where nobody names it.
    if (layout !== 'images') expect((await dataFiles(dataSpec.parse({ path: folder }))).names).toEqual(expected);
  },
);

it('one of several sets of IDX files is its own files and the names of its classes', async () => {
  const folder = join(root, 'emnist');
  await writeOthers(folder);
  for (const prefix of ['letters-', 'balanced-']) await letters(folder, prefix);
  await writeText(
    join(folder, 'letters-mapping.txt'),
    lines(10, (index) => `${index} ${97 + index}`),
  );
  const path = join(folder, 'letters-train-images-idx3-ubyte');
  const { names } = await dataFiles(dataSpec.parse({ path }));
  expect(names).toEqual(['letters-mapping.txt', ...idxNames.map((name) => `letters-${name}`)]);
  const { open } = dataSources.get('idx');
  const again = await open(join(await copied(folder, names), 'letters-train-images-idx3-ubyte'));
  expect(again.classes[0]).toBe('a');
  expect(facts(again)).toEqual(facts(await open(path)));
});

it('a table alone is one file, and what is part of weightlock none', async () => {
  const path = join(root, 'table.csv');
  await writeText(path, 'text,label\na,0\nb,1\n');
  expect(await dataFiles(dataSpec.parse({ path }))).toEqual({ source: 'texts', folder: root, names: ['table.csv'] });
  expect((await dataFiles(dataSpec.parse({}))).names).toEqual([]);
});
