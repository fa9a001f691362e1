import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evaluation } from '../src/tasks/index.js';
import { loadTokenizer } from '../src/text/index.js';
import { runCommand } from './support/run-command.js';

const reads = resolve('test/fixtures/tokenizers/wordpiece');
const nouns = ['fox', 'dog', 'man', 'food', 'meal', 'market', 'system'];
const others = ['the', 'a', 'quick', 'lazy', 'sleeping', 'jumps', 'over', 'and'];

/** Texts in which each word is a noun or not, as a program that draws by counting would write them. */
function sentences(count: number, step: number) {
  return Array.from({ length: count }, (_, row) => {
    const tokens = Array.from({ length: 4 + (row % 7) }, (_, at) => {
      const draw = (row * 31 + at * step) % 97;
      return draw % 3 === 0 ? nouns[draw % nouns.length] : others[draw % others.length];
    });
    return { tokens, tags: tokens.map((word) => (nouns.includes(word) ? 'noun' : 'other')) };
  });
}

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-tokens-'));
  const { size } = await loadTokenizer(reads);
  const layers = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const config = { ...layers, vocab_size: size, max_position_embeddings: 64, initializer_range: 0.1 };
  await writeFile(join(root, 'config.json'), JSON.stringify(config));
  const lines = (all: readonly object[]) => all.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(join(root, 'words.jsonl'), lines(sentences(80, 17)));
  await writeFile(join(root, 'others.jsonl'), lines(sentences(60, 29)));
  // One word again and again, so that what is hidden can be found by the others.
  const plain = (all: ReturnType<typeof sentences>) =>
    lines(all.map(({ tokens: [word, ...more] }) => ({ text: [word, ...more.map(() => word)].join(' ') })));
  await writeFile(join(root, 'texts.jsonl'), plain(sentences(80, 17)));
  await writeFile(join(root, 'more.jsonl'), plain(sentences(60, 29)));
});
afterAll(() => rm(root, { recursive: true }));

/** Runs a command that must succeed, and reads its JSON. */
async function json(...args: string[]) {
  const { status, stdout, stderr } = await runCommand(root, [...args, '--json', '--threads', '1']);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

interface Trained {
  test: Evaluation;
}
interface Locked {
  steps: number;
  test: { task: string; before: { float32: Evaluation }; after: { float32: Evaluation } };
}
interface Attacked {
  rows: { start: string; kind: string; trains: boolean; result: { trials: { tokens?: number; score: number }[] } }[];
}

describe.each([
  {
    task: 'token-classification',
    className: 'BertForTokenClassification',
    data: 'words.jsonl',
    other: 'others.jsonl',
    measured: ['accuracy', 'f1', 'f1.0', 'recall.1', 'agreement', 'kl'],
    least: 0.8,
    steps: '120',
  },
  {
    task: 'masked-lm',
    className: 'BertForMaskedLM',
    data: 'texts.jsonl',
    other: 'more.jsonl',
    measured: ['tokenAccuracy', 'loss', 'perplexity', 'agreement', 'kl'],
    least: 0.5,
    steps: '250',
  },
])('$task by commands', ({ task, className, data, other, measured, least, steps }) => {
  const [model, locked] = [`${task}-model`, `${task}-locked`];

  it('is trained from scratch, and its model directory is of the class that transformers has for it', async () => {
    const found: Trained = await json(
      ...['train', model, '--task', task, '--architecture', 'bert', '--model-config', 'config.json'],
      ...['--data.path', data, '--data.tokenizer', reads],
      ...['--steps', steps, '--batch-size', '16', '--learning-rate', '0.01', '--evaluate-every', '60'],
    );
    expect(found.test.metrics[measured[0]]).toBeGreaterThan(least);
    const config = JSON.parse(readFileSync(join(root, model, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config.architectures).toEqual([className]);
    const names = task === 'masked-lm' ? undefined : { 0: 'noun', 1: 'other' };
    expect(config.id2label).toEqual(names);
  });

  it('is locked, and what that cost is measured', async () => {
    const found: Locked = await json(
      ...['lock', model, locked, '--data.path', data, '--specdef.steps', '6', '--specdef.batch-size', '8'],
      ...['--specdef.evaluate-every', '3', '--specdef.max-drop', '1', '--specdef.max-kl', 'null'],
      ...['--specdef.alpha', '0.5'],
    );
    expect(found.steps).toBe(6);
    expect(found.test.task).toBe(task);
    expect(found.test.before.float32.metrics.kl).toBe(0);
    expect(found.test.after.float32.metrics.kl).toBeGreaterThan(0);
  });

  it('is evaluated, and compared with the original', async () => {
    const found: Evaluation = await json('evaluate', locked, '--data.path', data, '--original', model);
    for (const name of measured) expect(found.metrics[name], name).toEqual(expect.any(Number));
    expect(found.metrics.kl).toBeGreaterThan(0);
  });

  it('is attacked', async () => {
    const found: Attacked = await json(
      ...['attack', locked, '--unlocked', model, '--data.path', other, '--workers', '0'],
      ...['--no-adaptive', '--optimizers', 'adamw'],
      ...['--cost-steps', '8', '--score-steps', '8', '--per-class', '4', '--seeds', '1', '--search-seeds', '9'],
    );
    const starts = new Set(found.rows.map(({ start }) => start));
    expect(starts.size).toBeGreaterThan(1);
    for (const { trains, result } of found.rows) {
      for (const { tokens, score } of result.trials) {
        if (trains) expect(tokens).toBeGreaterThan(0);
        expect(score).toBeGreaterThanOrEqual(0);
      }
    }
    // What a model says of hidden words anyway is part of the floor; to words with classes no regression is fitted.
    const frozen = found.rows.filter(({ kind }) => kind === 'frozen');
    expect(frozen.map(({ start }) => start).toSorted()).toEqual(
      task === 'masked-lm' ? ['locked', 'locked', 'unlocked', 'unlocked'] : [],
    );
  });
});

describe('what does not fit is refused in one line', () => {
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await runCommand(root, [...args, '--quiet']);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(status).toBe(2);
    return stderr;
  };
  const common = ['--architecture', 'bert', '--model-config', 'config.json', '--data.tokenizer', reads];

  it('words of a task of texts, texts without classes of a task of words, a tokenizer without a mask', async () => {
    expect(await refusal('train', 'm', ...common, '--data.path', 'words.jsonl')).toContain(
      'expected examples with classes, found none but of words, whose task is token-classification',
    );
    expect(
      await refusal('train', 'm', ...common, '--data.path', 'texts.jsonl', '--task', 'token-classification'),
    ).toContain('expected texts in words that have a class each, found none');
    const maskless = resolve('test/fixtures/tokenizers/byte-fallback');
    expect(
      await refusal(
        'train',
        'm',
        ...common,
        '--data.tokenizer',
        maskless,
        '--data.path',
        'texts.jsonl',
        '--task',
        'masked-lm',
      ),
    ).toContain('expected texts of a tokenizer with a mask_token, found a tokenizer without one');
  });
});
