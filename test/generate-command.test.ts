import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../src/generation/index.js';
import { initializeModel, parameterSet, saveModel } from '../src/models/index.js';
import { printableLines } from '../src/report/index.js';
import { loadTokenizer } from '../src/text/index.js';

const main = resolve('dist/cli/main.js');
const tokenizerFolder = 'test/fixtures/tokenizers/byte-level';
let root: string;
let model: string;

/** A model with random weights whose texts are long, and a tokenizer with a chat template. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-generate-'));
  model = join(root, 'model');
  const { size } = await loadTokenizer(tokenizerFolder);
  const keys = {
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    vocab_size: size,
  };
  await saveModel(model, initializeModel('llama', { ...keys, max_position_embeddings: 48, initializer_range: 1 }, 3));
  await cp(join(tokenizerFolder, 'tokenizer.json'), join(model, 'tokenizer.json'));
  await cp(join(tokenizerFolder, 'tokenizer_config.json'), join(model, 'tokenizer_config.json'));
  const template =
    '{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}{% if add_generation_prompt %}me:{% endif %}';
  await writeFile(join(model, 'chat_template.jinja'), template);
});
afterAll(() => rm(root, { recursive: true }));

function weightlock(...args: string[]) {
  return spawnSync(process.execPath, [main, 'generate', ...args], { cwd: root, encoding: 'utf8' });
}

/** What the command must give, by the library. */
async function expected(text: string, options: object) {
  const { weights, ...spec } = initializeModel(
    'llama',
    JSON.parse(await readFile(join(model, 'config.json'), 'utf8')) as Record<string, unknown>,
    3,
  );
  const tokenizer = await loadTokenizer(model);
  const prompt = tokenizer.encode(text, undefined, { addSpecialTokens: !text.startsWith('user') }).ids;
  const { tokens } = await generate({
    ...{ model: spec, params: parameterSet(weights), engine: { threads: 1 }, prompt, maxTokens: 12 },
    ...options,
  });
  return { prompt, tokens: [...tokens], text: tokenizer.decode(tokens, { skipSpecialTokens: true }) };
}

describe('weightlock generate', () => {
  it('goes on with a text, on stdout alone', async () => {
    const { stdout, stderr, status } = weightlock(model, '--prompt', 'One two', '--max-tokens', '12', '--quiet');
    const { text } = await expected('One two', {});
    // Unprintable characters of a random text are shown as such.
    expect(stdout).toBe(`${printableLines(text)}\n`);
    expect([stderr, status]).toEqual(['', 0]);
  });

  it('answers in a chat, by the template, and draws by a seed', async () => {
    const drawn = ['--temperature', '0.9', '--top-k', '50', '--top-p', '0.95', '--seed', '4'];
    const { stdout, stderr } = weightlock(model, '--chat', 'One two', '--max-tokens', '12', ...drawn, '--json');
    expect(stderr).toBe('');
    const found = JSON.parse(stdout);
    const sampling = { temperature: 0.9, topK: 50, topP: 0.95, seed: 4 };
    expect(found).toMatchObject({ ...(await expected('user: One two me:', sampling)), stop: 'length', sampling });
  });

  it('refuses in a dry run what it refuses else', () => {
    for (const more of [[], ['--dry-run']]) {
      const { stderr, status } = weightlock(model, '--prompt', 'One two '.repeat(99), ...more);
      expect([stderr, status]).toEqual([expect.stringContaining('prompt: expected at most 48 tokens'), 2]);
    }
  });

  it('says that the context is at its end', () => {
    const { stderr, status } = weightlock(model, '--prompt', 'One two', '--max-tokens', '90');
    expect(stderr).toMatch(/ tokens, [\d.]+ a second; stopped at the end of the model's context\n$/);
    expect(status).toBe(0);
  });

  it.each<[string, string[], RegExp]>([
    ['no text', [], /^error: generate: expected either --prompt or --chat, found none\n$/],
    ['two', ['--prompt', 'a', '--chat', 'b'], /expected either --prompt or --chat, found both/],
    [
      'one that is too long',
      ['--prompt', 'word '.repeat(90)],
      /prompt: expected at most 48 tokens, the context of llama/,
    ],
    [
      'a seed of what is not drawn',
      ['--prompt', 'a', '--seed', '2'],
      /--seed: expected a --temperature above 0 with it/,
    ],
  ])('refuses %s in one line', (_, args, message) => {
    const { stdout, stderr, status } = weightlock(model, ...args, '--quiet');
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect([stdout, status]).toEqual(['', 2]);
  });
});
