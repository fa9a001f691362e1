import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ggufFile, type TensorText } from '../../test/support/gguf-writer.js';
import { openTensors } from '../formats/index.js';
import { ggufConfig } from './gguf-config.js';

const root = mkdtempSync(join(tmpdir(), 'weightlock-gguf-config-'));
afterAll(() => rmSync(root, { recursive: true }));

const keys = {
  'general.architecture': 'llama',
  ...{ 'llama.block_count': 2, 'llama.context_length': 64, 'llama.embedding_length': 32 },
  ...{ 'llama.feed_forward_length': 48, 'llama.attention.head_count': 4 },
};
const tensor = (name: string, dimensions: number[]): TensorText => {
  return { name, dimensions, type: 1, data: new Uint8Array(2 * dimensions.reduce((a, b) => a * b, 1)) };
};

async function configOf(more: Record<string, string | number>, tensors: TensorText[] = []) {
  const path = join(root, 'm.gguf');
  writeFileSync(
    path,
    ggufFile({ keys: { ...keys, ...more }, tensors: [tensor('token_embd.weight', [32, 16]), ...tensors] }),
  );
  return ggufConfig(await openTensors(path));
}

describe('the configuration that a GGUF file of the Llama family holds', () => {
  it('has the keys of transformers, and its defaults where nothing is said', async () => {
    expect(await configOf({})).toEqual({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...{ vocab_size: 16, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2 },
      ...{ num_attention_heads: 4, num_key_value_heads: 4, max_position_embeddings: 64 },
      ...{ rms_norm_eps: 1e-5, rope_theta: 10_000, attention_bias: false, mlp_bias: false },
      ...{ hidden_act: 'silu', tie_word_embeddings: true, torch_dtype: 'float32' },
    });
  });

  it('says what the file says, and what only its tensors do', async () => {
    const said = await configOf(
      {
        ...{ 'llama.attention.head_count_kv': 2, 'llama.attention.key_length': 16, 'tokenizer.ggml.bos_token_id': 1 },
        ...{ 'tokenizer.ggml.eos_token_id': 2, 'tokenizer.ggml.padding_token_id': 0 },
      },
      [tensor('output.weight', [32, 16]), tensor('blk.0.attn_q.bias', [64]), tensor('blk.0.ffn_gate.bias', [48])],
    );
    expect(said).toMatchObject({
      num_key_value_heads: 2,
      head_dim: 16,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: 0,
    });
    expect(said).toMatchObject({ tie_word_embeddings: false, attention_bias: true, mlp_bias: true });
  });

  it('has linear scaling of positions, and none of a factor of 1', async () => {
    const type = { 'llama.rope.scaling.type': 'linear' };
    expect(await configOf({ ...type, 'llama.rope.scaling.factor': 4 })).toMatchObject({
      rope_scaling: { rope_type: 'linear', factor: 4 },
    });
    expect(await configOf({ ...type, 'llama.rope.scaling.factor': 1 })).not.toHaveProperty('rope_scaling');
  });

  const smol = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models/smollm2-135m-instruct');
  if (!existsSync(smol)) console.log(`skipped: no model in ${smol} (set WEIGHTLOCK_DATA)`);
  it.skipIf(!existsSync(smol))('of SmolLM2 is the one that others made of it', async () => {
    const { attention_dropout, initializer_range, rope_scaling, use_cache, ...expected } = JSON.parse(
      readFileSync(join(smol, 'config.json'), 'utf8'),
    );
    expect(await ggufConfig(await openTensors(smol))).toEqual(expected);
  });
});
