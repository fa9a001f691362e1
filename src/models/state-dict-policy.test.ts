import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { encodeSafetensors, fromFloat32, parseSafetensors, type StoredTensor, toFloat32 } from '../formats/index.js';
import { type Architecture, architectures, initializeModel, loadModel, type Model, mlp, saveModel } from './index.js';

/** Two linear layers with a policy: fc1 is the body, fc2 the head. */
const artificial = {
  ...mlp,
  name: 'artificial',
  config: mlp.config.extend({ architecture: z.literal('artificial').default('artificial') }),
  stateDictPolicy: () => ({
    prefixes: ['module.', 'model.'],
    aliases: { 'fc*.gamma': 'fc*.weight', 'old.bias': 'fc1.bias' },
    ties: { 'lm_head.weight': 'fc1.weight' },
    ignorable: ['*position_ids'],
    initializable: ['fc2.*'],
  }),
} as unknown as Architecture;

const keys = { input_shape: [3], hidden_sizes: [2], num_labels: 4 };
const config = { architecture: 'artificial', ...keys };
const body: [name: string, shape: number[]][] = [
  ['fc1.weight', [2, 3]],
  ['fc1.bias', [2]],
];
const head: [name: string, shape: number[]][] = [
  ['fc2.weight', [4, 2]],
  ['fc2.bias', [4]],
];

let root: string;
let count = 0;
let source: string;
let copy: string;
beforeAll(async () => {
  architectures.register(artificial);
  root = await mkdtemp(join(tmpdir(), 'weightlock-policy-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});
beforeEach(() => {
  source = join(root, String(count++), 'source');
  copy = join(dirname(source), 'copy');
});

/** A tensor of distinct values that BF16 holds exactly. */
function tensor(name: string, shape: number[], start = 1, dtype: StoredTensor['dtype'] = 'BF16'): StoredTensor {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => start + i / 8);
  return fromFloat32(values, { name, dtype, shape });
}

/** Named after the declared entries, in the order given. */
const plain = (entries: typeof body, rename = (name: string) => name) =>
  entries.map(([name, shape], i) => tensor(rename(name), shape, i + 1));

async function write(tensors: StoredTensor[], name = 'model.safetensors'): Promise<void> {
  await mkdir(source, { recursive: true });
  await writeFile(join(source, 'config.json'), JSON.stringify(config));
  await writeFile(join(source, name), encodeSafetensors({ tensors, metadata: { format: 'pt' } }));
}

const bytesOf = (folder: string, name = 'model.safetensors') => readFile(join(folder, name));
const tensorsOf = async (folder: string, name?: string) => parseSafetensors(await bytesOf(folder, name), 'f').tensors;

/** Loads the source, saves the copy, and says whether the weights' bytes are the same. */
async function roundtrip(): Promise<Model> {
  const model = await loadModel(source);
  await saveModel(copy, model);
  expect(await bytesOf(copy)).toEqual(await bytesOf(source));
  return model;
}

describe('names', () => {
  it.each<[string, (name: string) => string]>([
    ['as declared', (name) => name],
    ['behind a prefix', (name) => `model.${name}`],
    ['behind two', (name) => `module.model.${name}`],
    ['by an alias', (name) => (name === 'fc1.bias' ? 'old.bias' : name.replace('.weight', '.gamma'))],
    ['by an alias behind a prefix', (name) => `module.${name.replace('.weight', '.gamma')}`],
  ])('%s: read by their entries, written as they were', async (_, rename) => {
    await write(plain([...head, ...body], rename));
    const { weights, notes } = await roundtrip();
    expect([...weights.keys()]).toEqual(['fc2.weight', 'fc2.bias', 'fc1.weight', 'fc1.bias']);
    expect(weights.get('fc1.bias')).toEqual({ shape: [2], data: Float32Array.of(4, 4.125) });
    expect(notes).toEqual([]);
  });

  it('that two tensors have are refused, as is one that nothing knows', async () => {
    await write([...plain([...body, ...head]), tensor('model.fc1.bias', [2])]);
    await expect(loadModel(source)).rejects.toThrow(
      `${source}: expected one tensor "fc1.bias", found "fc1.bias" and "model.fc1.bias"`,
    );
    await write([...plain([...body, ...head]), tensor('model.fc3.bias', [2])]);
    await expect(loadModel(source)).rejects.toThrow('expected no tensor model.fc3.bias');
  });

  it('are strict where an architecture states no policy', async () => {
    await write(plain([...body, ...head], (name) => `model.${name}`));
    await expect(loadModel(source, { config: { architecture: 'mlp', ...keys } })).rejects.toThrow(
      `${source}: expected a tensor fc1.weight [2,3], found none`,
    );
  });
});

describe('a tie', () => {
  const partner = tensor('model.lm_head.weight', [2, 3], 1);

  it.each<[string, () => StoredTensor[]]>([
    ['present', () => [...plain([...body, ...head]), partner]],
    ['first', () => [partner, ...plain([...body, ...head])]],
    ['absent', () => plain([...body, ...head])],
    ['alone', () => [partner, ...plain([...body, ...head]).slice(1)]],
  ])('%s: one parameter, written as the file had it', async (_, tensors) => {
    await write(tensors());
    const model = await roundtrip();
    expect([...model.weights.keys()].sort()).toEqual(['fc1.bias', 'fc1.weight', 'fc2.bias', 'fc2.weight']);
    // Changed, all of its names change.
    model.weights.get('fc1.weight')?.data.fill(5);
    await saveModel(copy, model, { force: true });
    for (const [at, written] of (await tensorsOf(copy)).entries()) {
      const isTied = ['fc1.weight', 'model.lm_head.weight'].includes(written.name);
      expect(toFloat32(written)).toEqual(isTied ? new Float32Array(6).fill(5) : toFloat32(tensors()[at]));
    }
  });

  it('of other values or another shape is refused', async () => {
    for (const bad of [tensor('lm_head.weight', [2, 3], 2), tensor('lm_head.weight', [3, 2], 1)]) {
      await write([...plain([...body, ...head]), bad]);
      await expect(loadModel(source)).rejects.toThrow(
        'tensor "lm_head.weight": expected the values of "fc1.weight", to which it is tied, found others',
      );
    }
  });
});

it('ignorable buffers are no weights, and are kept to the byte in their place', async () => {
  const ids = fromFloat32(Float32Array.of(0, 1, 2), { name: 'model.position_ids', dtype: 'I64', shape: [1, 3] });
  const odd = { ...tensor('position_ids', [2], 1, 'F32'), bytes: Uint8Array.of(1, 0, 192, 255, 2, 0, 192, 127) };
  await write([plain(body)[0], ids, ...plain(head), odd, plain(body)[1]]);
  const model = await roundtrip();
  expect([...model.weights.keys()]).toEqual(['fc1.weight', 'fc2.weight', 'fc2.bias', 'fc1.bias']);
});

describe('a missing head', () => {
  it('is drawn from the seed, and said aloud', async () => {
    await write(plain(body));
    const [first, same, other] = await Promise.all([7, 7, 8].map((seed) => loadModel(source, { seed })));
    expect(first.notes).toEqual([
      `${source} has no fc2.weight [4, 2], fc2.bias [4]: drawn anew from seed 7, not trained.`,
    ]);
    expect(same.weights).toEqual(first.weights);
    expect(other.weights.get('fc2.weight')).not.toEqual(first.weights.get('fc2.weight'));
    // The draw of a new model, whose entries have streams of their own.
    expect(first.weights.get('fc2.weight')).toEqual(initializeModel('mlp', keys, 7).weights.get('fc2.weight'));
    expect(first.weights.get('fc1.bias')?.data).toEqual(Float32Array.of(2, 2.125));
  });

  it('is written behind the tensors of the file, and read back', async () => {
    await write(plain(body));
    const model = await loadModel(source);
    await saveModel(copy, model);
    expect((await tensorsOf(copy)).map(({ name, dtype }) => `${name} ${dtype}`)).toEqual([
      'fc1.weight BF16',
      'fc1.bias BF16',
      'fc2.weight F32',
      'fc2.bias F32',
    ]);
    const again = await loadModel(copy);
    expect(again.weights).toEqual(model.weights);
    expect(again.notes).toEqual([]);
  });

  it('is written into the last shard, and the index knows it', async () => {
    await write([plain(body)[0]], 'one.safetensors');
    await write([plain(body)[1]], 'two.safetensors');
    const index = {
      metadata: { total_size: 16 },
      weight_map: { 'fc1.weight': 'one.safetensors', 'fc1.bias': 'two.safetensors' },
    };
    await writeFile(join(source, 'model.safetensors.index.json'), JSON.stringify(index));
    const model = await loadModel(source);
    await saveModel(copy, model);
    expect(await bytesOf(copy, 'one.safetensors')).toEqual(await bytesOf(source, 'one.safetensors'));
    expect((await tensorsOf(copy, 'two.safetensors')).map(({ name }) => name)).toEqual([
      'fc1.bias',
      'fc2.weight',
      'fc2.bias',
    ]);
    expect(JSON.parse(String(await bytesOf(copy, 'model.safetensors.index.json')))).toEqual({
      metadata: { total_size: 16 + 4 * 12 },
      weight_map: { ...index.weight_map, 'fc2.weight': 'two.safetensors', 'fc2.bias': 'two.safetensors' },
    });
    expect((await loadModel(copy)).weights).toEqual(model.weights);
  });

  it('does not excuse a missing body, or a head of another size', async () => {
    await write(plain([body[0], ...head]));
    await expect(loadModel(source)).rejects.toThrow('expected a tensor fc1.bias [2], found none');
    await write([...plain(body), tensor('fc2.weight', [9, 2])]);
    await expect(loadModel(source)).rejects.toThrow('expected fc2.weight to be [4,2], found [9,2]');
  });
});
