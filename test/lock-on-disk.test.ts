import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunFolder } from '../src/evidence/index.js';
import { lockOnDiskJob, Runner } from '../src/experiments/index.js';
import { silentProgress } from '../src/experiments/progress.js';
import {
  encodeSafetensors,
  fromFloat32,
  openTensors,
  readSafetensors,
  type StoredDType,
  type StoredTensor,
} from '../src/formats/index.js';
import { OpenTensors } from '../src/formats/open-tensors.js';
import { drawsOf, type LockMethod, lockContext, lockMethods } from '../src/locks/index.js';
import { cloneWeights, initializeModel, loadModel, openModel, saveChanged, saveModel } from '../src/models/index.js';
import { drawn, drawnNames } from './support/drawn-models.js';

let root: string;
const at = (...names: string[]) => join(root, ...names);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-on-disk-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const methods = ['spectral-closed', 'rebalance'] as const;
/** A model of five layers. */
const config = {
  ...{ vocab_size: 40, hidden_size: 32, intermediate_size: 48, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ num_hidden_layers: 5, tie_word_embeddings: false, max_position_embeddings: 32, pad_token_id: 0 },
};
/** A method that has a plan, with its defaults. */
function planned(name: (typeof methods)[number]) {
  const method = lockMethods.get(name);
  const { plan } = method;
  if (!plan) throw new Error(`${name} has no plan`);
  return { method, plan, options: method.options.parse({}) };
}

/** All files of a folder. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'base64')])),
  );
}

/** The model of a folder, locked in memory as a whole, and written. */
async function lockInMemory(source: string, output: string, name: (typeof methods)[number], seed: number) {
  const { method, options } = planned(name);
  const model = await loadModel(source);
  const locked = { ...model, weights: cloneWeights(model.weights) };
  const context = lockContext({ model: locked, data: {}, seed, secret: seed }, { engine: { threads: 1 } });
  await method.run(context, options);
  await context.release();
  await saveModel(output, locked);
}

async function lockOnDisk(source: string, output: string, name: (typeof methods)[number], seed: number) {
  const { plan, options } = planned(name);
  const model = await openModel(source);
  await saveChanged(output, model, plan(model, options, drawsOf(seed)).changes);
}

/** Rewrites a folder's weights: in so many files, tensors in an order, types and further tensors of one's own. */
async function rewrite(
  folder: string,
  shards: number,
  {
    order = () => 0,
    dtype,
    more = [],
    without,
  }: { order?: (name: string) => number; dtype?: StoredDType; more?: StoredTensor[]; without?: string } = {},
): Promise<void> {
  const single = join(folder, 'model.safetensors');
  const read = (await readSafetensors(single)).tensors.filter((tensor) => tensor.name !== without);
  const own = read.map((tensor) =>
    dtype ? fromFloat32(new Float32Array(tensor.bytes.slice().buffer), { ...tensor, dtype }) : tensor,
  );
  const tensors = [...own.toSorted((a, b) => order(a.name) - order(b.name)), ...more];
  const size = Math.ceil(tensors.length / shards);
  const map: Record<string, string> = {};
  await rm(single);
  for (let index = 0; index < shards; index++) {
    const name = `model-0000${index + 1}-of-0000${shards}.safetensors`;
    const part = tensors.slice(index * size, (index + 1) * size);
    for (const tensor of part) map[tensor.name] = name;
    await writeFile(join(folder, name), encodeSafetensors({ tensors: part, metadata: { format: 'pt', own: 'kept' } }));
  }
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: { note: 'kept' }, weight_map: map }),
  );
}

describe.each(methods)('%s on the disk writes what it writes of a model in memory, byte for byte', (name) => {
  it.each(drawnNames)('%s', async (architecture) => {
    const source = at(`${name}-${architecture}`);
    await saveModel(source, drawn(architecture));
    await lockInMemory(source, `${source}-memory`, name, 5);
    await lockOnDisk(source, `${source}-disk`, name, 5);
    const [before, memory, disk] = await Promise.all(
      [source, `${source}-memory`, `${source}-disk`].map((folder) => contents(folder)),
    );
    expect(disk).toEqual(memory);
    expect(disk['model.safetensors']).not.toBe(before['model.safetensors']);
  });

  it('in bfloat16, over files that part what belongs together, with tensors and files that are no weights', async () => {
    const source = at(`${name}-shards`);
    await saveModel(source, drawn('llama'));
    const bytes = new Uint8Array(8).fill(200);
    const frequencies = 'model.layers.0.self_attn.rotary_emb.inv_freq';
    await rewrite(source, 3, {
      // Queries of all layers first, then keys, and so on.
      order: (tensor) => tensor.split('.').at(-2)?.length ?? 0,
      dtype: 'BF16',
      more: [{ name: frequencies, dtype: 'F32', shape: [2], bytes }],
    });
    await writeFile(join(source, 'tokenizer.json'), '{ "kept":  true }');
    await lockInMemory(source, `${source}-memory`, name, 2);
    await lockOnDisk(source, `${source}-disk`, name, 2);
    const disk = await contents(`${source}-disk`);
    expect(disk).toEqual(await contents(`${source}-memory`));
    expect(Object.keys(disk)).toHaveLength(6);
    const opened = await openTensors(`${source}-disk`);
    expect((await opened.tensor(frequencies)).bytes).toEqual(bytes);
    expect(new Set(opened.headers.map(({ dtype }) => dtype))).toEqual(new Set(['BF16', 'F32']));
  });

  it('of tied tensors both, and with a head that the folder lacks, which is drawn', async () => {
    const source = at(`${name}-tied`);
    await saveModel(source, initializeModel('llama', { ...config, tie_word_embeddings: true }, 1));
    const table = (await readSafetensors(join(source, 'model.safetensors'))).tensors.find(
      ({ shape }) => shape[0] === 40,
    );
    await rewrite(source, 2, { more: [{ ...(table as StoredTensor), name: 'lm_head.weight' }] });
    const untied = at(`${name}-untied`);
    await saveModel(untied, initializeModel('llama', config, 1));
    await rewrite(untied, 2, { without: 'lm_head.weight' });
    for (const folder of [source, untied]) {
      await lockInMemory(folder, `${folder}-memory`, name, 2);
      await lockOnDisk(folder, `${folder}-disk`, name, 2);
      expect(await contents(`${folder}-disk`)).toEqual(await contents(`${folder}-memory`));
      expect((await openTensors(`${folder}-disk`)).headers.map((header) => header.name)).toContain('lm_head.weight');
    }
  });

  it('and the whole run finds the same', async () => {
    const source = at(`${name}-run`);
    await saveModel(source, drawn('bert'));
    const { method, options } = planned(name);
    const run = async (way: string, lock: (runner: Runner, output: string) => Promise<{ info: object }>) => {
      const folder = await RunFolder.open({ root: at('runs'), command: 'lock', config: { name, way } });
      const signal = new AbortController().signal;
      const runner = new Runner(
        { engine: { threads: 1 }, seed: 3, secret: 'seed' },
        { folder, signal, progress: silentProgress },
      );
      const output = at(`${name}-run-${way}`);
      const { info } = await lock(runner, output);
      await folder.close();
      const metrics = await readFile(folder.file('metrics.jsonl'), 'utf8');
      return { info, metrics: metrics.replaceAll(/"time":"[^"]*"/g, ''), files: await contents(output) };
    };
    const part = (path: string) => ({ name: 'lock', output: { path, force: false } });
    const memory = await run('memory', async (runner, path) =>
      runner.lock(part(path), { from: await loadModel(source), method, options }),
    );
    const disk = await run('disk', async (runner, path) =>
      runner.lockOnDisk(part(path), { from: await openModel(source), method, options }),
    );
    expect(disk).toEqual(memory);
    expect(disk.info).toMatchObject({ steps: 1, story: { outputError: { float32: { original: 0 } } } });
  });
});

describe('a model that is locked on the disk', () => {
  /**
   * Bytes of tensors that were read and are alive, at most, while something is done. Counted whenever a tensor is read, after a garbage
   * collection, but where it cannot be more than `least`.
   */
  async function mostHeld(least: number, work: () => Promise<unknown>): Promise<number> {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { values, tensor } = OpenTensors.prototype;
    let held: WeakRef<ArrayBufferLike>[] = [];
    let [most, lengths] = [0, 0];
    const note = async (buffer: ArrayBufferLike) => {
      held.push(new WeakRef(buffer));
      lengths += buffer.byteLength;
      if (lengths <= Math.max(least, most)) return;
      await new Promise((resolve) => setImmediate(resolve));
      collect();
      held = held.filter((each) => each.deref());
      lengths = held.reduce((sum, each) => sum + (each.deref()?.byteLength ?? 0), 0);
      most = Math.max(most, lengths);
    };
    OpenTensors.prototype.values = async function (name, into, onPiece) {
      await values.call(this, name, into, onPiece);
      await note(into.buffer);
    };
    OpenTensors.prototype.tensor = async function (name) {
      const found = await tensor.call(this, name);
      await note(found.bytes.buffer);
      return found;
    };
    try {
      await work();
    } finally {
      Object.assign(OpenTensors.prototype, { values, tensor });
    }
    return most;
  }

  it('is never in memory: at most the weights that belong together are', async () => {
    const name = 'spectral-closed';
    const source = at('deep');
    const model = initializeModel('llama', config, 1);
    await saveModel(source, model);
    await rewrite(source, 2, { order: (tensor) => tensor.split('.').at(-2)?.length ?? 0 });
    const bytes = (part: string) =>
      [...model.weights].reduce((sum, [key, { data }]) => sum + (key.includes(part) ? data.byteLength : 0), 0);
    // Of a layer with its norm: up, gate and down are larger than attention.
    const group = bytes('layers.0.mlp') + bytes('layers.0.post_attention_layernorm');
    const one = 4 * config.hidden_size * config.intermediate_size;
    const disk = await mostHeld(group - 1, () => lockOnDisk(source, `${source}-disk`, name, 1));
    expect(disk).toBeGreaterThanOrEqual(group);
    expect(disk).toBeLessThanOrEqual(group + one);
    // What the count says of a model in memory.
    const memory = await mostHeld(bytes('') - 1, () => lockInMemory(source, `${source}-memory`, name, 1));
    expect(memory).toBeGreaterThanOrEqual(bytes(''));
    expect(bytes('')).toBeGreaterThan(4 * disk);
    expect(await contents(`${source}-disk`)).toEqual(await contents(`${source}-memory`));
  });

  it('is refused where a weight is not finite, and nothing is left of it', async () => {
    const source = at('bad');
    const model = drawn('vit');
    (model.weights.get('classifier.bias')?.data as Float32Array)[1] = Number.NaN;
    await saveModel(source, model);
    await mkdir(at('bad-disk'));
    await expect(lockOnDisk(source, at('bad-disk'), 'rebalance', 1)).rejects.toThrow(
      /"classifier.bias": expected finite float32 values, found NaN at \[1\]/,
    );
    expect(await readdir(at('bad-disk'))).toEqual([]);
  });

  it('is not compared with the original where it is too large for that, which is said', async () => {
    const source = at('large');
    await saveModel(source, drawn('bert'));
    const { plan, options } = planned('rebalance');
    const model = await openModel(source);
    const folder = await RunFolder.open({ root: at('runs'), command: 'lock', config: { large: true } });
    const { signal } = new AbortController();
    const found = await lockOnDiskJob(
      { model, secret: 1 },
      {
        ...{ method: { plan } as Required<Pick<LockMethod, 'plan'>>, options, mostCompared: 1000 },
        write: async (changes, watch) => {
          await saveChanged(at('large-disk'), model, changes, { watch });
          return at('large-disk');
        },
      },
      { ...{ folder, phase: 'lock', engine: { threads: 1 }, signal }, onStep: () => undefined },
    );
    await folder.close();
    expect(found.warnings).toEqual([
      expect.stringMatching(/^The outputs were not compared with the original's: \d+ weights are more than 1000\.$/),
    ]);
    expect(found.story).not.toHaveProperty('outputError');
    expect(found.spectra.every(({ before, after }) => before.length > 0 && after.length === before.length)).toBe(true);
  });
});
