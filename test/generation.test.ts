import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compile, ProgramCache } from '../src/engine/index.js';
import { endTokens, generate, TextGenerator } from '../src/generation/index.js';
import { TextSteps } from '../src/generation/steps.js';
import { parameterSet, readConfig } from '../src/models/index.js';
import { feedsOf } from '../src/nn/index.js';
import { largestDifference } from './support/compare.js';
import { readFixture } from './support/fixtures.js';
import { hashedWeights } from './support/vision-fixtures.js';

interface DecoderCase {
  config: Record<string, unknown> & { architectures: [string] };
  greedy?: number[];
}

const { seed, ids, cases } = readFixture<{ seed: number; ids: number[][]; cases: DecoderCase[] }>('decoders.json');
const engine = { threads: 1 };
const programs: ProgramCache[] = [];
afterAll(() => Promise.all(programs.map((cache) => cache.release())));

/** A decoder of the fixture with its weights. */
function decoderOf(config: DecoderCase['config']) {
  const model = readConfig(config, 'fixture');
  return { model, params: parameterSet(hashedWeights(model, seed)) };
}

const table = cases.flatMap(({ config, greedy }) => (greedy ? [{ config, greedy, name: JSON.stringify(config) }] : []));
const { config: first } = table[0];

describe('text with keys and values kept', () => {
  it('has cases of every family', () => {
    const families = new Set(table.map(({ config }) => config.model_type));
    expect([...families].sort()).toEqual(['gemma3_text', 'gpt2', 'llama', 'mistral', 'qwen2', 'qwen3']);
  });

  it.each(table)('has the logits of text computed at once: $name', async ({ config }) => {
    const { model, params } = decoderOf(config);
    // Beyond the first cache's 16 tokens, where the model's context allows it.
    const tokens = Array.from({ length: model.architecture.decoder?.cache(model.config).context ?? 0 }, (_, i) => {
      return (7 * i * i + 3 * i + 5) % model.head.size;
    }).slice(0, 21);
    const array = { shape: [1, tokens.length], dtype: 'int64' } as const;
    const { outputs } = model.build({ input_ids: array, attention_mask: array });
    const whole = await compile({ logits: outputs.logits }, engine);
    const batch = {
      input_ids: BigInt64Array.from(tokens, BigInt),
      attention_mask: new BigInt64Array(tokens.length).fill(1n),
    };
    const logits = (await whole.run(feedsOf(batch, params))).logits as Float32Array;
    const cache = new ProgramCache(engine);
    programs.push(cache);
    const text = new TextSteps(model, params, cache);
    const { size } = model.head;
    for (let at = 4; at < tokens.length; at++) {
      const found = await text.next(at === 4 ? tokens.slice(0, 5) : [tokens[at]]);
      const { error } = largestDifference(found, logits.subarray(at * size, (at + 1) * size));
      expect(error, `token ${at}`).toBeLessThan(2e-5);
    }
    await whole.release();
  });

  it.each(table)('goes on greedily as with transformers: $name', async ({ config, greedy }) => {
    const { model, params } = decoderOf(config);
    const { tokens, stop } = await generate({ model, params, engine, prompt: ids[0].slice(0, 3), maxTokens: 8 });
    expect({ tokens, stop }).toEqual({ tokens: greedy, stop: 'length' });
  });

  it('is computed by few programs, however long it becomes', async () => {
    const { model, params } = decoderOf({ ...first, max_position_embeddings: 64 });
    const cache = new ProgramCache(engine);
    programs.push(cache);
    const asked = new Set<string>();
    const counting = { get: (key: string, outputs: () => never) => cache.get(asked.add(key) && key, outputs) };
    const text = new TextSteps(model, params, counting as unknown as ProgramCache);
    await text.next([1, 2, 3]);
    for (let at = 3; at < 64; at++) await text.next([at % 19]);
    expect([...asked].map((key) => JSON.parse(key))).toEqual([
      { tokens: 16, room: 0 },
      { tokens: 1, room: 16 },
      { tokens: 1, room: 32 },
      { tokens: 1, room: 64 },
    ]);
  });
});

describe('a text ends', () => {
  const { model, params } = decoderOf(first);
  const generator = new TextGenerator(model, params, engine);
  afterAll(() => generator.release());
  const [greedy] = table.map((one) => one.greedy);
  const run = async (options: object) => {
    const stream = generator.stream({ prompt: ids[0].slice(0, 3), maxTokens: 8, ...options });
    const tokens: number[] = [];
    for (;;) {
      const next = await stream.next();
      if (next.done) return { tokens, stop: next.value };
      tokens.push(next.value);
    }
  };

  it('by a token that ends texts, which comes with it', async () => {
    expect(await run({ endTokens: [18, 6] })).toEqual({ tokens: greedy.slice(0, 4), stop: 'end' });
  });

  it('where it is aborted', async () => {
    const abort = new AbortController();
    const heard: number[] = [];
    const onToken = (token: number, index: number) => {
      heard.push(token);
      if (index === 1) abort.abort();
    };
    const { signal } = abort;
    const found = await generate({ model, params, engine, prompt: [5, 17, 3], maxTokens: 8, signal, onToken });
    expect(found).toEqual({ tokens: greedy.slice(0, 2), stop: 'aborted' });
    expect(heard).toEqual(greedy.slice(0, 2));
  });

  it('with the context', async () => {
    const { stop, tokens } = await run({ prompt: Array(30).fill(4), maxTokens: 8 });
    expect({ stop, count: tokens.length }).toEqual({ stop: 'context', count: 3 });
  });

  it('the same by the same seed', async () => {
    const drawn = await run({ temperature: 2, seed: 5 });
    expect(await run({ temperature: 2, seed: 5 })).toEqual(drawn);
    expect(await run({ temperature: 2, seed: 6 })).not.toEqual(drawn);
    expect(await run({ temperature: 2, seed: 6, topK: 1 })).toEqual({ tokens: greedy, stop: 'length' });
  });

  it('before it begins, where it cannot', async () => {
    const stream = (options: object) => generator.stream({ prompt: [1], maxTokens: 1, ...options }).next();
    await expect(stream({ prompt: [] })).rejects.toThrow('prompt: expected at least one token, found none');
    await expect(stream({ prompt: Array(33).fill(1) })).rejects.toThrow(
      'prompt: expected at most 32 tokens, the context of llama, found 33',
    );
    await expect(stream({ prompt: [19] })).rejects.toThrow(/prompt: expected tokens from 0 to 18, found 19/);
    await expect(stream({ topP: 2 })).rejects.toThrow(/topP: /);
    const { model: classifier } = decoderOf({ ...first, architectures: ['LlamaForSequenceClassification'] });
    expect(() => new TextGenerator(classifier, params)).toThrow(
      'llama: expected a model that gives the next token (causal-lm), found a head classifier',
    );
    const bad = new Map(params).set('model.norm.weight', new Float32Array(16).fill(Number.NaN));
    const broken = generate({ model, params: bad, engine, prompt: [1], maxTokens: 1 });
    await expect(broken).rejects.toThrow('llama: expected finite logits, found NaN');
  });
});

it('tokens that end texts are those of generation_config.json, or else of config.json', async () => {
  const source = await mkdtemp(join(tmpdir(), 'weightlock-generation-'));
  const config = { eos_token_id: 2 };
  expect(await endTokens({ source, config })).toEqual([2]);
  expect(await endTokens({ config: {} })).toEqual([]);
  const write = (content: object) => writeFile(join(source, 'generation_config.json'), JSON.stringify(content));
  await write({ eos_token_id: [7, 9] });
  expect(await endTokens({ source, config })).toEqual([7, 9]);
  await write({});
  expect(await endTokens({ source, config })).toEqual([2]);
  await write({ eos_token_id: 'two' });
  await expect(endTokens({ source, config })).rejects.toThrow(/generation_config.json: eos_token_id: expected a token/);
  await rm(source, { recursive: true });
});
