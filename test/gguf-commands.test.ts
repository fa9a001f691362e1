import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTensors } from '../src/formats/index.js';
import { runCommand } from './support/run-command.js';

const root = mkdtempSync(join(tmpdir(), 'weightlock-gguf-commands-'));
afterAll(() => rmSync(root, { recursive: true }));

const words = '[UNK] [PAD] a b c d e f g h i j k l m n'.split(' ');
const tokenizer = {
  ...{ version: '1.0', truncation: null, padding: null, normalizer: null, post_processor: null, decoder: null },
  added_tokens: [
    { id: 1, content: '[PAD]', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  pre_tokenizer: { type: 'Whitespace' },
  model: { type: 'WordLevel', vocab: Object.fromEntries(words.map((word, id) => [word, id])), unk_token: '[UNK]' },
};
/** Of the model that is test/fixtures/gguf/llama.gguf. */
const config = {
  ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', vocab_size: 16, pad_token_id: 1 },
  ...{ hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ max_position_embeddings: 64, rms_norm_eps: 1e-5, tie_word_embeddings: false, torch_dtype: 'bfloat16' },
};

beforeAll(() => {
  const folder = join(root, 'model');
  mkdirSync(folder);
  copyFileSync(new URL('./fixtures/gguf/llama.gguf', import.meta.url), join(folder, 'm.gguf'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(folder, 'tokenizer_config.json'), '{"pad_token": "[PAD]"}');
  const texts = Array.from({ length: 80 }, (_, row) => {
    return Array.from({ length: 4 + (row % 7) }, (_, at) => words[2 + ((row * 5 + at * at) % 14)]).join(' ');
  });
  writeFileSync(join(root, 'texts.csv'), `text\n${texts.join('\n')}\n`);
});

async function weightlock(...args: string[]) {
  const task = ['--data.path', 'texts.csv', '--data.text', 'text', '--threads', '1'];
  const { status, stdout, stderr } = await runCommand(root, [...args, ...task, '--json']);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

describe('commands on a language model in a GGUF file', () => {
  it('evaluate, lock and attack it by its path; the locked one is a directory that needs the file no more', async () => {
    const before = JSON.parse(await weightlock('evaluate', 'model/m.gguf')) as {
      metrics: Record<string, number>;
      n: number;
    };
    expect(JSON.parse(await weightlock('evaluate', 'model')).metrics).toEqual(before.metrics);
    const brief = ['--specdef.steps', '2', '--specdef.lead.share', '0', '--specdef.utility-floor', '0'];
    await weightlock('lock', 'model/m.gguf', 'locked', ...brief);
    const files = ['README.md', 'config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    expect(readdirSync(join(root, 'locked')).sort()).toEqual(files);
    expect(JSON.parse(readFileSync(join(root, 'locked/config.json'), 'utf8'))).toEqual({
      ...config,
      torch_dtype: 'float32',
    });
    const [source, locked] = await Promise.all(['model', 'locked'].map((name) => openTensors(join(root, name))));
    expect(locked.headers).toEqual(source.headers);
    const changed: string[] = [];
    for (const { name } of source.headers) {
      const [a, b] = [await source.tensor(name), await locked.tensor(name)];
      if (Buffer.compare(a.bytes, b.bytes) !== 0) changed.push(name);
    }
    expect(changed).toContain('model.layers.0.self_attn.q_proj.weight');
    expect(JSON.parse(await weightlock('evaluate', 'locked')).n).toBe(before.n);
    await weightlock('attack', 'locked', '--unlocked', 'model/m.gguf', '--dry-run');
  });
});
