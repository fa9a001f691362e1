import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ProgramCache } from '../src/engine/index.js';
import { digestOfModel } from '../src/evidence/index.js';
import { inspectTensors, openMatrices } from '../src/experiments/index.js';
import { fromFloat32, openTensors, readSafetensors, toFloat32, writeSafetensors } from '../src/formats/index.js';
import {
  type Architecture,
  architectures,
  findModelFiles,
  initializeModel,
  loadModel,
  requireApart,
  saveModel,
} from '../src/models/index.js';
import { ones } from '../src/nn/index.js';
import { leadingSingularValues } from '../src/spectra/index.js';
import { ggufFile } from './support/gguf-writer.js';
import { torchFile } from './support/torch-writer.js';

const fixture = (name: string) => new URL(`./fixtures/${name}`, import.meta.url).pathname;
const root = mkdtempSync(join(tmpdir(), 'weightlock-formats-'));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
/** A new folder with these files: text, bytes, or the path of a fixture to copy. */
function folder(files: Record<string, string | Uint8Array | { copy: string }>): string {
  const path = join(root, String(folders++));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(join(path, name), content);
    else copyFileSync(fixture(content.copy), join(path, name));
  }
  return path;
}

/** Declares the entries that its configuration lists and computes next to nothing: the state of any language model. */
const bag: Architecture<{ state: Record<string, number[]> }> = {
  name: 'bag',
  description: 'any state dict, for tests',
  config: z.object({ state: z.record(z.string(), z.array(z.int())) }).loose(),
  inputs: () => ({ x: { shape: [1], dtype: 'float32' } }),
  head: () => ({ kind: 'classifier', size: 1 }),
  fit: () => ({}),
  forward(scope, { x }, { state }) {
    for (const [name, shape] of Object.entries(state)) scope.parameter(name, shape, ones);
    return { logits: x };
  },
};
beforeAll(() => architectures.register(bag as Architecture));

describe('a model in a GGUF file', () => {
  let config: string;
  beforeAll(async () => {
    const { tensors } = await readSafetensors(fixture('gguf/llama.safetensors'));
    const state = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
    config = JSON.stringify({ architecture: 'bag', state, torch_dtype: 'bfloat16', rope_theta: 1.0 }).replace(
      ':1,',
      ':1.0,',
    );
  });

  it('is read and written as safetensors, with what lies beside it, by folder or by its path', async () => {
    const source = folder({
      'm.gguf': { copy: 'gguf/llama.gguf' },
      'config.json': config,
      'tokenizer.json': '{"a": 1.0}',
    });
    const expected = await readSafetensors(fixture('gguf/llama.safetensors'));
    for (const path of [source, join(source, 'm.gguf')]) {
      const model = await loadModel(path);
      const written = join(root, `${folders++}-written`);
      await saveModel(written, model);
      expect(readdirSync(written).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
      expect(readFileSync(join(written, 'tokenizer.json'), 'utf8')).toBe('{"a": 1.0}');
      // float32 is what is stored; all else of the configuration stays as it is.
      expect(readFileSync(join(written, 'config.json'), 'utf8')).toBe(config.replace('bfloat16', 'float32'));
      const { tensors, metadata } = await readSafetensors(join(written, 'model.safetensors'));
      expect({ ...metadata }).toEqual({ format: 'pt' });
      expect(tensors.map(({ name }) => name).sort()).toEqual(expected.tensors.map(({ name }) => name).sort());
      for (const { name, shape, ...like } of expected.tensors) {
        const tensor = tensors.find((each) => each.name === name);
        expect(tensor && [tensor.shape, toFloat32(tensor)]).toEqual([shape, toFloat32({ name, shape, ...like })]);
      }
      const types = new Set(tensors.map(({ name, dtype }) => `${/[kq]_proj/.exec(name)?.[0]} ${dtype}`));
      expect([...types].sort()).toEqual(['k_proj F16', 'q_proj F32', 'undefined F32']);
      // Read again, it is the same model.
      expect((await loadModel(written)).weights).toEqual(model.weights);
    }
  });

  it('has one digest by folder and by path, which what lies beside it changes', async () => {
    const files = { 'm.gguf': { copy: 'gguf/llama.gguf' }, 'config.json': config };
    const [a, b] = [folder(files), folder({ ...files, 'tokenizer.json': '{}' })];
    expect(await digestOfModel(join(a, 'm.gguf'))).toBe(await digestOfModel(a));
    expect(await digestOfModel(join(b, 'm.gguf'))).not.toBe(await digestOfModel(a));
  });

  it('is not written over, and other files around it are no part of it', async () => {
    const source = folder({ 'm.gguf': { copy: 'gguf/llama.gguf' }, 'config.json': config, 'notes.txt': '' });
    await expect(requireApart(join(source, 'm.gguf'), source)).rejects.toThrow(
      "expected another folder than the model's own",
    );
    const { leftOut, ...files } = await findModelFiles(join(source, 'm.gguf'));
    expect([files, leftOut]).toEqual([{ folder: source, read: ['config.json', 'm.gguf'], companions: [] }, []]);
    expect((await findModelFiles(source)).leftOut).toEqual(['notes.txt']);
  });

  const llama = {
    'general.architecture': 'llama',
    ...{ 'llama.block_count': 1, 'llama.context_length': 64, 'llama.embedding_length': 32 },
    ...{ 'llama.feed_forward_length': 32, 'llama.attention.head_count': 4, 'llama.attention.head_count_kv': 2 },
  };
  const embedding = { name: 'token_embd.weight', dimensions: [32, 16], type: 1, data: new Uint8Array(1024) };
  it.each<[string, Uint8Array, string]>([
    [
      'of another architecture',
      readFileSync(fixture('gguf/qwen2.gguf')),
      'of the architecture "qwen2" its metadata say too little',
    ],
    [
      'with computed factors',
      readFileSync(fixture('gguf/llama.gguf')),
      'do not say how its rotary embedding is scaled',
    ],
    [
      'with positions stretched in another way',
      ggufFile({
        keys: { ...llama, 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.factor': 4 },
        tensors: [embedding],
      }),
      'do not say all of its rotary embedding\'s scaling, "yarn"',
    ],
    [
      'without a width',
      ggufFile({ keys: { ...llama, 'llama.embedding_length': 0 }, tensors: [embedding] }),
      'llama.embedding_length in the metadata, found "0"',
    ],
  ])('without config.json, %s, is refused', async (_, bytes, expected) => {
    await expect(loadModel(folder({ 'm.gguf': bytes }))).rejects.toThrow(expected);
  });
});

describe('a model in files of torch.save', () => {
  const mlp = () => initializeModel('mlp', { input_shape: [3], hidden_sizes: [2], num_labels: 4 }, 1);
  const keys = JSON.stringify({ architecture: 'mlp', input_shape: [3], hidden_sizes: [2], num_labels: 4 });
  const stored = (names: RegExp) =>
    [...mlp().weights]
      .filter(([name]) => names.test(name))
      .map(([name, { data, shape }]) =>
        fromFloat32(data, { name, shape, dtype: name === 'fc1.bias' ? 'BF16' : 'F32' }),
      );

  it('is written as safetensors of the same names and types; the old file is no part of the copy', async () => {
    const source = folder({ 'pytorch_model.bin': torchFile(stored(/./)), 'config.json': keys, 'vocab.txt': 'a' });
    const written = join(root, 'from-torch');
    await saveModel(written, await loadModel(source));
    expect(readdirSync(written).sort()).toEqual(['config.json', 'model.safetensors', 'vocab.txt']);
    expect((await readSafetensors(join(written, 'model.safetensors'))).tensors).toEqual(stored(/./));
    expect(readFileSync(join(written, 'config.json'), 'utf8')).toBe(keys);
    expect((await findModelFiles(source)).leftOut).toEqual([]);
  });

  it('in shards is written in as many, with an index of their new names', async () => {
    const names = { 'pytorch_model-00001-of-00002.bin': /fc1/, 'pytorch_model-00002-of-00002.bin': /fc2/ };
    const map = Object.entries(names).flatMap(([file, of]) => stored(of).map(({ name }) => [name, file]));
    const source = folder({
      ...Object.fromEntries(Object.entries(names).map(([name, of]) => [name, torchFile(stored(of))])),
      'pytorch_model.bin.index.json': JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(map) }),
      'config.json': keys,
    });
    const written = join(root, 'from-shards');
    await saveModel(written, await loadModel(source));
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    expect(readdirSync(written).sort()).toEqual(['config.json', ...shards, 'model.safetensors.index.json']);
    expect(JSON.parse(readFileSync(join(written, 'model.safetensors.index.json'), 'utf8'))).toEqual({
      metadata: { total_size: 4 * (6 + 8 + 4) + 2 * 2 },
      weight_map: Object.fromEntries(map.map(([name, file]) => [name, shards[file === map[0][1] ? 0 : 1]])),
    });
    expect((await loadModel(written)).weights).toEqual((await loadModel(source)).weights);
  });

  it('is one file of any name, with its configuration given', async () => {
    const path = join(folder({ 'net.pth': torchFile(stored(/./)) }), 'net.pth');
    await expect(loadModel(path)).rejects.toThrow('config.json: expected a file, found nothing; --architecture says');
    expect((await loadModel(path, { config: JSON.parse(keys) })).weights.get('fc2.bias')).toEqual(
      mlp().weights.get('fc2.bias'),
    );
  });
});

describe('weights with scales of their own', () => {
  const file = async (names: Record<string, 'F8_E4M3' | 'F32'>, config?: unknown) => {
    const path = folder(config === undefined ? {} : { 'config.json': JSON.stringify(config) });
    const tensors = Object.entries(names).map(([name, dtype]) =>
      fromFloat32(Float32Array.of(1, 2, 3, 4), { name, dtype, shape: [2, 2] }),
    );
    await writeSafetensors(join(path, 'model.safetensors'), { tensors, metadata: {} });
    return path;
  };
  const weights = { 'fc.weight': 'F8_E4M3' } as const;

  it('are read where they are plain', async () => {
    const plain = await file({ ...weights, 'fc.other': 'F32' });
    const { matrices } = await inspectTensors((await openMatrices(plain)).tensors, { topK: 1 });
    expect(matrices.map(({ name, dtype }) => `${name} ${dtype}`)).toEqual(['fc.weight F8_E4M3', 'fc.other F32']);
    const model = await loadModel(plain, {
      config: { architecture: 'bag', state: { 'fc.weight': [2, 2], 'fc.other': [2, 2] } },
    });
    expect(model.weights.get('fc.weight')?.data).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  it.each(['fc.weight_scale', 'fc.weight_scale_inv', 'fc.scale_weight', 'fc.scales'])(
    'are refused with %s',
    async (scale) => {
      const path = await file({ ...weights, [scale]: 'F32' });
      const expected = `${path}: tensor "fc.weight": expected plain weights, found F8_E4M3 with scales in "${scale}"`;
      await expect(openMatrices(path)).rejects.toThrow(expected);
      const state = { 'fc.weight': [2, 2], [scale]: [2, 2] };
      await expect(loadModel(path, { config: { architecture: 'bag', state } })).rejects.toThrow(expected);
    },
  );

  it('are refused with a quantization_config, of which the method is named', async () => {
    const config = {
      architecture: 'bag',
      state: { 'fc.weight': [2, 2] },
      quantization_config: { quant_method: 'fp8' },
    };
    const path = await file(weights, config);
    const expected = `${path}: expected plain weights, found a quantization_config of "fp8", which is not undone; give the model in 16 or 32 bits`;
    await expect(openMatrices(path)).rejects.toThrow(expected);
    await expect(loadModel(path)).rejects.toThrow(expected);
    await loadModel(await file(weights, { ...config, quantization_config: null }));
  });
});

const smol = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models/smollm2-135m-instruct');
const present = existsSync(smol);
if (!present) console.log(`skipped: no model in ${smol} (set WEIGHTLOCK_DATA)`);

const programs = new ProgramCache({ threads: 1 });
afterAll(() => programs.release());

describe.skipIf(!present)('SmolLM2-135M-Instruct in Q4_1', () => {
  it.each([
    'model.layers.0.self_attn.q_proj.weight',
    'model.layers.0.self_attn.k_proj.weight',
    'model.layers.0.mlp.down_proj.weight',
    'model.layers.29.mlp.up_proj.weight',
    'model.embed_tokens.weight',
  ])('%s has the singular values that transformers and PyTorch find', async (name) => {
    const expected = JSON.parse(readFileSync(join(smol, 'expected.json'), 'utf8')).top8_singular_values[
      name
    ] as number[];
    const tensors = await openTensors(smol);
    expect(tensors.shards.map((shard) => shard.name)).toEqual(['SmolLM2-135M-Instruct.Q4_1.gguf']);
    const { shape } = await tensors.tensor(name);
    const [rows, columns] = shape;
    const values = new Float32Array(rows * columns);
    await tensors.values(name, values);
    const found = [...(await leadingSingularValues(values, { rows, columns, k: 8, name, programs }))];
    // Five decimals are given, of values down to 14.
    expect(found.map((sigma, i) => Math.abs(sigma / expected[i] - 1) < 1e-6)).toEqual(Array(8).fill(true));
  });
});
