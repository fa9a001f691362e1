import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference } from './support/compare.js';
import { runCommand } from './support/run-command.js';

const folder = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models/all-minilm-l6-v2');
const isThere = existsSync(folder);
if (!isThere) console.log(`skipped: no ${folder} (set WEIGHTLOCK_DATA)`);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-embed-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.skipIf(!isThere)('weightlock embed', () => {
  const run = (...args: string[]) => runCommand(root, ['embed', folder, ...args]);

  it('gives the embeddings of transformers, in the order of the file', async () => {
    const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
      sentences: string[];
      mean_pooled_normalized_first8: number[][];
    };
    const rows = expected.sentences.map((sentence) => `${JSON.stringify(sentence)},1\n`);
    await writeFile(join(root, 'texts.csv'), `sentence,number\n${rows.join('')}`);
    const { status, stdout, stderr } = await run(
      ...['--data.path', 'texts.csv', '--text', 'sentence', '--output', 'out.jsonl', '--json'],
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { n, width, embeddings } = JSON.parse(stdout) as { n: number; width: number; embeddings: number[][] };
    expect([n, width]).toEqual([expected.sentences.length, 384]);
    for (const [index, first] of expected.mean_pooled_normalized_first8.entries()) {
      expect(largestDifference(embeddings[index].slice(0, 8), first).error).toBeLessThan(1e-4);
      expect(embeddings[index].reduce((sum, value) => sum + value ** 2, 0)).toBeCloseTo(1, 5);
    }
    const lines = readFileSync(join(root, 'out.jsonl'), 'utf8').trimEnd().split('\n');
    const written = lines.map((line) => JSON.parse(line) as { index: number; source: string; embedding: number[] });
    expect(written.map(({ index }) => index)).toEqual(expected.sentences.map((_, index) => index));
    expect(written[0].source).toContain('texts.csv');
    expect(written.map(({ embedding }) => embedding)).toEqual(embeddings);
  });

  it('says in one line which columns there are', async () => {
    await writeFile(join(root, 'other.csv'), 'a,b\nx,y\n');
    const { status, stderr } = await run('--data.path', 'other.csv', '--text', 'sentence');
    expect(status).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/data\.text: expected a column of .*got "sentence"; found "a", "b"/);
  });
});
