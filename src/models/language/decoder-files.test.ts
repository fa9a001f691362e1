import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeSafetensors, fromFloat32, parseSafetensors, type StoredTensor } from '../../formats/index.js';
import { initializeModel, loadModel, type Model, saveModel } from '../index.js';

const llamaLike = {
  config: {
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 4,
  },
  base: 'model.',
  table: 'model.embed_tokens.weight',
  constant: 'model.layers.0.self_attn.rotary_emb.inv_freq',
};

/** Families, in the smallest form that has all of their parts, and how their files name them. */
const families = [
  { ...llamaLike, type: 'llama', causal: 'LlamaForCausalLM', classifier: 'LlamaForSequenceClassification' },
  { ...llamaLike, type: 'mistral', causal: 'MistralForCausalLM', classifier: 'MistralForSequenceClassification' },
  { ...llamaLike, type: 'qwen2', causal: 'Qwen2ForCausalLM', classifier: 'Qwen2ForSequenceClassification' },
  { ...llamaLike, type: 'qwen3', causal: 'Qwen3ForCausalLM', classifier: 'Qwen3ForSequenceClassification' },
  {
    ...llamaLike,
    type: 'gemma3_text',
    causal: 'Gemma3ForCausalLM',
    classifier: 'Gemma3TextForSequenceClassification',
  },
  {
    type: 'gpt2',
    config: { n_embd: 8, n_layer: 1, n_head: 2, n_positions: 4 },
    base: 'transformer.',
    table: 'transformer.wte.weight',
    constant: 'transformer.h.0.attn.bias',
    causal: 'GPT2LMHeadModel',
    classifier: 'GPT2ForSequenceClassification',
  },
];

let root: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-decoder-'));
});
afterAll(() => rm(root, { recursive: true }));

/** Entries of a model's file, each in bf16. */
function tensorsOf(model: Model): StoredTensor[] {
  return [...model.weights].map(([name, { shape, data }]) => fromFloat32(data, { name, dtype: 'BF16', shape }));
}

async function write(config: object, tensors: StoredTensor[]): Promise<string> {
  const folder = join(root, String(count++));
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'model.safetensors'), encodeSafetensors({ tensors, metadata: { format: 'pt' } }));
  return folder;
}

const bytesOf = (folder: string) => readFile(join(folder, 'model.safetensors'));
const namesOf = async (folder: string) => parseSafetensors(await bytesOf(folder), 'f').tensors.map(({ name }) => name);

/** Loads a folder, and checks that saving gives the same bytes. */
async function unchanged(folder: string): Promise<Model> {
  const model = await loadModel(folder);
  const copy = `${folder}-copy`;
  await saveModel(copy, model);
  expect(await bytesOf(copy)).toEqual(await bytesOf(folder));
  expect(await readFile(join(copy, 'config.json'))).toEqual(await readFile(join(folder, 'config.json')));
  return model;
}

describe.each(families)('files of $type', ({ type, config, causal, classifier, base, table, constant }) => {
  const keys = { ...config, model_type: type, vocab_size: 6, num_labels: 3, pad_token_id: 0 };
  const [untied, tied] = [false, true].map((tie_word_embeddings) => ({
    ...keys,
    architectures: [causal],
    tie_word_embeddings,
  }));
  const model = initializeModel(type, untied, 1);
  const body = tensorsOf(model).filter(({ name }) => name !== 'lm_head.weight');
  const saved: StoredTensor = { name: constant, dtype: 'F32', shape: [2], bytes: new Uint8Array(8).fill(7) };
  const head = (shape: number[]) =>
    fromFloat32(new Float32Array(shape[0] * shape[1]), { name: 'score.weight', dtype: 'F16', shape });

  it.each<[string, (tensor: StoredTensor) => string]>([
    ['as transformers', ({ name }) => name],
    ['behind DataParallel', ({ name }) => `module.${name}`],
    ['as the base model', ({ name }) => (name.startsWith(base) ? name.slice(base.length) : name)],
  ])('have names %s, and constants of old versions', async (_, rename) => {
    const tensors = [...tensorsOf(model), saved].map((tensor) => ({ ...tensor, name: rename(tensor) }));
    const { weights, notes } = await unchanged(await write(untied, tensors));
    expect([...weights.keys()].sort()).toEqual([...model.weights.keys()].sort());
    expect(notes).toEqual([]);
  });

  it('have a tied head once, or twice with equal values', async () => {
    const once = await unchanged(await write(tied, body));
    const twin = body.filter(({ name }) => name === table).map((tensor) => ({ ...tensor, name: 'lm_head.weight' }));
    const twice = await unchanged(await write(tied, [...twin, ...body]));
    expect([...once.weights.keys()]).not.toContain('lm_head.weight');
    expect([...twice.weights.keys()].sort()).toEqual([...once.weights.keys()].sort());
    const other = twin.map((tensor) => ({ ...tensor, bytes: tensor.bytes.map((byte) => byte ^ 1) }));
    await expect(loadModel(await write(tied, [...body, ...other]))).rejects.toThrow(
      /"lm_head\.weight": expected the values of .*, to which it is tied, found others/,
    );
  });

  it('without a head get a fresh one, said aloud; one that is not asked for stays to the byte', async () => {
    const folder = await write(tied, [...body, { ...saved }]);
    const labels = ['no', 'yes', 'perhaps'];
    const given = await loadModel(folder, { head: { kind: 'classifier', labels } });
    expect(given.head).toEqual({ kind: 'classifier', size: 3 });
    expect(given.notes).toEqual([expect.stringMatching(/has no score\.weight \[3, 8\]: drawn anew/)]);
    await saveModel(`${folder}-classifier`, given);
    expect(await namesOf(`${folder}-classifier`)).toEqual([...body.map(({ name }) => name), constant, 'score.weight']);
    const kept = await write({ ...tied, architectures: [classifier] }, [...body, head([3, 8])]);
    await unchanged(kept);
    const causalAgain = await loadModel(kept, { head: { kind: 'causal-lm', labels: [] } });
    expect([...causalAgain.weights.keys()]).not.toContain('score.weight');
    await saveModel(`${kept}-causal`, causalAgain);
    expect(await bytesOf(`${kept}-causal`)).toEqual(await bytesOf(kept));
  });

  it('keep the bias of a head of tokens where that of texts has none', async () => {
    const bias: StoredTensor = { name: 'score.bias', dtype: 'F32', shape: [3], bytes: new Uint8Array(12).fill(9) };
    const { weights } = await unchanged(
      await write({ ...tied, architectures: [classifier] }, [...body, head([3, 8]), bias]),
    );
    expect([...weights.keys()]).not.toContain('score.bias');
  });

  it('that lack a head which is not tied are read with a new one', async () => {
    const { notes } = await loadModel(await write(untied, body));
    expect(notes).toEqual([expect.stringContaining('has no lm_head.weight [6, 8]')]);
  });

  it('of quantized weights and experts are refused by their key', async () => {
    await expect(loadModel(await write({ ...tied, quantization_config: { bits: 4 } }, body))).rejects.toThrow(
      /quantization_config: expected none, quantized weights are not read here, found {"bits":4}$/,
    );
    await expect(loadModel(await write({ ...tied, num_local_experts: 8 }, body))).rejects.toThrow(
      /num_local_experts: /,
    );
  });
});
