import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type Program } from '../src/engine/index.js';
import { endTokens, generate } from '../src/generation/index.js';
import { crossEntropy, reshape, slice } from '../src/graph/index.js';
import { loadModel, type Model, parameterSet } from '../src/models/index.js';
import { feedsOf } from '../src/nn/index.js';
import { type ChatMessage, loadTokenizer } from '../src/text/index.js';

const data = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data');
const folder = join(data, 'models/smollm2-135m-instruct');

/** What transformers computes with it, by the data folder's README. */
interface Expected {
  chat: { messages: ChatMessage[]; rendered: string; prompt_ids: number[]; greedy_continuation: string };
  texts: { input_ids: number[]; causal_lm_loss: number; last_position_logits_first8: number[] }[];
}

const present = existsSync(folder);
if (!present) console.log(`skipped: no models/smollm2-135m-instruct in ${data} (set WEIGHTLOCK_DATA)`);

describe.skipIf(!present)('SmolLM2-135M-Instruct', () => {
  let model: Model;
  let expected: Expected;
  beforeAll(async () => {
    model = await loadModel(folder);
    expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
  }, 120_000);
  const programs: Program[] = [];
  afterAll(() => Promise.all(programs.map((program) => program.release())));

  it('gives the logits and losses that transformers gives', async () => {
    const { texts } = expected;
    const params = parameterSet(model.weights);
    for (const { input_ids: ids, causal_lm_loss, last_position_logits_first8: logits } of texts) {
      const array = { shape: [1, ids.length], dtype: 'int64' } as const;
      const { graph, outputs } = model.build({ input_ids: array, attention_mask: array });
      const rows = reshape(outputs.logits, [ids.length, model.head.size]);
      const next = graph.constant([...ids.slice(1), -100], [ids.length], 'int64');
      const last = slice(rows, [{ axis: 0, start: ids.length - 1 }]);
      const program = await compile({ loss: crossEntropy(rows, next), last }, { threads: 1 });
      programs.push(program);
      const batch = {
        input_ids: BigInt64Array.from(ids, BigInt),
        attention_mask: new BigInt64Array(ids.length).fill(1n),
      };
      const results = await program.run(feedsOf(batch, params));
      expect(Math.abs(Number(results.loss[0]) - causal_lm_loss)).toBeLessThan(1e-4);
      logits.forEach((value, index) => {
        expect(Math.abs(Number(results.last[index]) - value), `logit ${index}`).toBeLessThan(1e-3);
      });
    }
  }, 120_000);
  it('goes on as with transformers, until its token that ends texts', async () => {
    const { messages, rendered, prompt_ids: prompt, greedy_continuation: text } = expected.chat;
    const tokenizer = await loadTokenizer(folder);
    const written = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true });
    expect(written).toBe(rendered);
    expect(tokenizer.encode(written, undefined, { addSpecialTokens: false }).ids).toEqual(prompt);
    const params = parameterSet(model.weights);
    const ends = await endTokens(model);
    const found = await generate({ model, params, engine: { threads: 1 }, prompt, maxTokens: 24, endTokens: ends });
    expect({ text: tokenizer.decode(found.tokens), stop: found.stop }).toEqual({ text, stop: 'end' });
  }, 120_000);
});
