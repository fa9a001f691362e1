import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors, type StoredTensor } from '../formats/index.js';
import {
  findModelFiles,
  initializeModel,
  loadModel,
  type Model,
  requireApart,
  requireNoModel,
  saveModel,
} from './index.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-directory-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const small = (seed: number) => initializeModel('mlp', { input_shape: [4], hidden_sizes: [3], num_labels: 2 }, seed);
const names = async (folder: string) => (await readdir(folder, { recursive: true })).sort();

/** Splits a model directory's weights into two shards under an index, as transformers names them. */
async function shard(folder: string, [first, second] = ['model-00001-of-00002', 'model-00002-of-00002']) {
  const { tensors, ...rest } = await readSafetensors(join(folder, 'model.safetensors'));
  const parts: [string, StoredTensor[]][] = [
    [`${first}.safetensors`, tensors.slice(0, 1)],
    [`${second}.safetensors`, tensors.slice(1)],
  ];
  const map: Record<string, string> = {};
  for (const [name, part] of parts) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), encodeSafetensors({ ...rest, tensors: part }));
    for (const { name: tensor } of part) map[tensor] = name;
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  await rm(join(folder, 'model.safetensors'));
}

/** A model whose weights were changed, as a lock changes them. */
function changed(model: Model): Model {
  for (const { data } of model.weights.values()) for (let i = 0; i < data.length; i++) data[i] += 1;
  return model;
}

describe('a folder that holds an older model', () => {
  /** Every kind of file that a loader would prefer to, or mix with, the new shards. */
  const stale = [
    'model.safetensors',
    'model.fp16.safetensors',
    'model-00003-of-00003.safetensors',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
    'tf_model.h5',
    'flax_model.msgpack',
    'consolidated.safetensors',
    'adapter_config.json',
    'adapter_model.safetensors',
    'onnx/model_quantized.onnx',
    'tokenizer.json',
  ];

  it('is refused by each of its files, and nothing is changed', async () => {
    for (const name of [...stale, 'config.json', 'model.safetensors.index.json']) {
      const folder = join(root, name.replace('/', '-'));
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), 'old');
      await expect(saveModel(folder, small(1)), name).rejects.toThrow('(--force overwrites it)');
      expect(await readFile(join(folder, name), 'utf8')).toBe('old');
    }
  });

  it('gives only the new weights to a loader when it is overwritten', async () => {
    await saveModel(join(root, 'old'), small(1));
    await saveModel(join(root, 'source'), small(2));
    await shard(join(root, 'source'));
    for (const name of stale.slice(1)) {
      await mkdir(dirname(join(root, 'old', name)), { recursive: true });
      await writeFile(join(root, 'old', name), 'old');
    }
    for (const name of ['README.md', 'optimizer.pt']) await writeFile(join(root, 'old', name), 'mine');
    const model = changed(await loadModel(join(root, 'source')));
    await saveModel(join(root, 'old'), model, { force: true });
    expect(await names(join(root, 'old'))).toEqual([
      'README.md',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'onnx',
      'optimizer.pt',
    ]);
    expect((await loadModel(join(root, 'old'))).weights).toEqual(model.weights);
  });

  it('loses its shards, whatever their names, when one file takes their place', async () => {
    await saveModel(join(root, 'old'), small(1));
    await shard(join(root, 'old'), ['part', 'deep/part']);
    const model = small(2);
    await saveModel(join(root, 'old'), model, { force: true });
    expect(await names(join(root, 'old'))).toEqual(['config.json', 'deep', 'model.safetensors']);
    expect((await loadModel(join(root, 'old'))).weights).toEqual(model.weights);
  });

  it('keeps what an index names and is no weights, and refuses weights of no known name', async () => {
    await writeFile(join(root, 'notes.txt'), 'mine');
    await writeFile(
      join(root, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: { a: 'notes.txt', b: '../x.safetensors' } }),
    );
    await saveModel(root, small(1), { force: true });
    expect(await names(root)).toEqual(['config.json', 'model.safetensors', 'notes.txt']);
    await writeFile(join(root, 'my-style.safetensors'), 'mine');
    await expect(saveModel(root, small(2), { force: true })).rejects.toThrow(
      'my-style.safetensors: expected no weights',
    );
    expect((await loadModel(root)).weights).toEqual(small(1).weights);
  });

  it('is not mixed with one whose write fails, and stays', async () => {
    const before = small(1);
    await saveModel(root, before);
    await saveModel(join(root, 'source'), small(2));
    await shard(join(root, 'source'));
    const model = await loadModel(join(root, 'source'));
    await writeFile(join(root, 'source', 'vocab.json'), '');
    await rm(join(root, 'source', 'model-00002-of-00002.safetensors'));
    await expect(saveModel(root, model, { force: true })).rejects.toThrow(/expected a shard/);
    // The last copy fails after the shards were written.
    await saveModel(join(root, 'other'), small(3));
    const other = await loadModel(join(root, 'other'));
    await mkdir(join(root, 'model.safetensors.d'));
    const broken = { ...other, configFile: join(root, 'nothing.json') };
    await expect(saveModel(root, broken, { force: true })).rejects.toThrow('nothing.json');
    expect((await loadModel(root)).weights).toEqual(before.weights);
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('is no obstacle where a folder below is a model of its own', async () => {
    await saveModel(join(root, 'locked'), small(1));
    await requireNoModel(root);
    await saveModel(root, small(2));
    expect((await loadModel(join(root, 'locked'))).weights).toEqual(small(1).weights);
    expect((await findModelFiles(root)).leftOut).toEqual(['locked/']);
  });

  it('sweeps what a killed process left of half-written files, and no living one’s', async () => {
    await writeFile(join(root, '.model.safetensors.999999999.0123abcd.tmp'), 'half');
    await writeFile(join(root, `.model.safetensors.${process.ppid}.0123abcd.tmp`), 'being written');
    await saveModel(root, small(1));
    expect(await names(root)).toEqual([
      `.model.safetensors.${process.ppid}.0123abcd.tmp`,
      'config.json',
      'model.safetensors',
    ]);
  });
});

describe('the README of a model', () => {
  const card = { classes: ['a', 'b'] };
  const readme = (name: string) => readFile(join(root, name, 'README.md'), 'utf8');

  it('that the user put into the folder keeps its text, with the card below it', async () => {
    await saveModel(join(root, 'source'), small(1));
    await writeFile(join(root, 'source', 'README.md'), '# Of the source');
    await mkdir(join(root, 'clone'));
    await writeFile(join(root, 'clone', 'README.md'), '# Mine');
    await saveModel(join(root, 'clone'), await loadModel(join(root, 'source')), { card });
    expect(await readme('clone')).toMatch(/^# Mine\n.*weightlock/s);
  });

  it('is the source’s where there is none, or that of an older model', async () => {
    await saveModel(join(root, 'source'), small(1));
    await writeFile(join(root, 'source', 'README.md'), '# Of the source');
    await saveModel(join(root, 'old'), small(2));
    await writeFile(join(root, 'old', 'README.md'), '# Of the older model');
    const model = await loadModel(join(root, 'source'));
    await saveModel(join(root, 'old'), model, { card, force: true });
    await saveModel(join(root, 'plain'), model);
    expect(await readme('old')).toMatch(/^# Of the source\n.*weightlock/s);
    expect(await readme('plain')).toBe('# Of the source');
  });
});

describe('a snapshot of the hub cache', () => {
  /** Moves all files of a model into blobs and links to them, as huggingface_hub lays them out. */
  async function snapshot(files: Record<string, string>): Promise<string> {
    const folder = join(root, 'models--org--name', 'snapshots', 'abc');
    await saveModel(folder, small(1));
    await shard(folder);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const blobs = join(root, 'models--org--name', 'blobs');
    await mkdir(blobs);
    let count = 0;
    for (const name of await readdir(folder, { recursive: true })) {
      if (!name.includes('.')) continue;
      const blob = join(blobs, `sha${count++}`);
      await rename(join(folder, name), blob);
      await symlink(relative(dirname(join(folder, name)), blob), join(folder, name));
    }
    return folder;
  }

  it('is copied with index, tokenizer and what lies in subfolders; the cache stays as it is', async () => {
    const extra = {
      'tokenizer.json': '{"a":1}',
      'tokenizer_config.json': '{}',
      'added_tokens.json': '{}',
      '1_Pooling/config.json': '{"b":2}',
      'README.md': '# x',
      'pytorch_model.bin': 'unlocked',
      'onnx/model.onnx': 'unlocked',
    };
    const folder = await snapshot(extra);
    await symlink('/etc/hostname', join(folder, 'vocab.txt'));
    const before = await readFile(join(folder, 'model-00001-of-00002.safetensors'));
    const model = await loadModel(folder);
    await saveModel(join(root, 'copy'), changed(model));
    expect(await names(join(root, 'copy'))).toEqual([
      '1_Pooling',
      '1_Pooling/config.json',
      'README.md',
      'added_tokens.json',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await readFile(join(root, 'copy', 'tokenizer.json'), 'utf8')).toBe('{"a":1}');
    expect((await loadModel(join(root, 'copy'))).weights).toEqual(model.weights);
    expect((await findModelFiles(folder)).leftOut).toEqual(['pytorch_model.bin', 'vocab.txt', 'onnx/']);
    expect(await readFile(join(folder, 'model-00001-of-00002.safetensors'))).toEqual(before);
  });

  it('is overwritten without changing its blobs', async () => {
    const folder = await snapshot({});
    const blob = join(root, 'models--org--name', 'blobs');
    const before = await Promise.all((await readdir(blob)).sort().map((name) => readFile(join(blob, name))));
    await saveModel(folder, small(2), { force: true });
    expect((await loadModel(folder)).weights).toEqual(small(2).weights);
    expect(await Promise.all((await readdir(blob)).sort().map((name) => readFile(join(blob, name))))).toEqual(before);
  });

  it('may not link into another model’s blobs or anywhere else', async () => {
    const folder = await snapshot({});
    for (const target of ['models--org--other/blobs/x', 'elsewhere/x']) {
      await mkdir(dirname(join(root, target)), { recursive: true });
      await writeFile(join(root, target), await readFile(join(folder, 'config.json')));
      await rm(join(folder, 'config.json'));
      await symlink(join(root, target), join(folder, 'config.json'));
      await expect(loadModel(folder), target).rejects.toThrow(/config\.json: expected a file inside this folder/);
    }
  });
});

describe('links in a model directory', () => {
  it('lead anywhere inside it, and to nothing outside', async () => {
    const folder = join(root, 'model');
    await saveModel(folder, small(1));
    await mkdir(join(folder, 'real'));
    await rename(join(folder, 'model.safetensors'), join(folder, 'real', 'weights'));
    await symlink('real/weights', join(folder, 'model.safetensors'));
    expect((await loadModel(folder)).weights).toEqual(small(1).weights);
    await rename(join(folder, 'real', 'weights'), join(root, 'weights'));
    await expect(loadModel(folder)).rejects.toThrow('model.safetensors: expected a file, found a link to nothing');
    await rm(join(folder, 'model.safetensors'));
    await symlink('../weights', join(folder, 'model.safetensors'));
    await expect(loadModel(folder)).rejects.toThrow(
      'model.safetensors: expected a file inside this folder, found a link',
    );
  });

  it('lead no shard out of it, and none is written through one', async () => {
    const folder = join(root, 'model');
    await saveModel(folder, small(1));
    await shard(folder, ['one', 'deep/two']);
    const model = await loadModel(folder);
    await mkdir(join(root, 'victim'));
    await mkdir(join(root, 'out'));
    await symlink(join(root, 'victim'), join(root, 'out', 'deep'));
    await expect(saveModel(join(root, 'out'), model)).rejects.toThrow(/link out of it/);
    expect(await readdir(join(root, 'victim'))).toEqual([]);
    await rename(join(folder, 'deep', 'two.safetensors'), join(root, 'victim', 'two.safetensors'));
    await rm(join(folder, 'deep'), { recursive: true });
    await symlink(join(root, 'victim'), join(folder, 'deep'));
    await expect(loadModel(folder)).rejects.toThrow('expected a file inside this folder, found a link out of it');
  });
});

it('a model keeps the order of its metadata, also of keys that look like numbers', async () => {
  const folder = join(root, 'model');
  await saveModel(folder, small(1));
  const { tensors } = await readSafetensors(join(folder, 'model.safetensors'));
  const metadata = { format: 'pt', b: '1', '10': '2', a: '3', '2': '4' };
  const bytes = encodeSafetensors({ tensors, metadata, metadataKeys: ['format', 'b', '10', 'a', '2'] });
  await writeFile(join(folder, 'model.safetensors'), bytes);
  await saveModel(join(root, 'copy'), await loadModel(folder));
  expect(await readFile(join(root, 'copy', 'model.safetensors'))).toEqual(Buffer.from(bytes));
});

it('a model and its copy are one folder however it is spelled', async () => {
  const folder = join(root, 'model');
  await saveModel(folder, small(1));
  await symlink(folder, join(root, 'link'));
  for (const other of [
    folder,
    `${folder}/`,
    join(root, 'link'),
    relative(process.cwd(), folder),
    `${root}/./x/../model`,
  ])
    await expect(requireApart(folder, other)).rejects.toThrow("expected another folder than the model's own");
  await requireApart(folder, join(root, 'new'));
  // The same bytes under two names: writing replaces a name, and leaves the other.
  await mkdir(join(root, 'linked'));
  await link(join(folder, 'model.safetensors'), join(root, 'linked', 'model.safetensors'));
  await requireApart(folder, join(root, 'linked'));
  await saveModel(join(root, 'linked'), small(2), { force: true });
  expect((await loadModel(folder)).weights).toEqual(small(1).weights);
});
