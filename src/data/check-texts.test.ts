import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedData } from '../../test/support/image-data.js';
import { checkData, dataSpec, findData, textEncoding, textLengths } from './index.js';
import { nearDuplicates } from './near-duplicates.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-check-texts-'));
});
afterAll(() => rm(root, { recursive: true }));

async function found(name: string, files: Readonly<Record<string, string>>) {
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, file)), { recursive: true });
    await writeFile(join(root, name, file), content);
  }
  const [only] = await findData(join(root, name));
  return only;
}
const bare = (places: unknown): unknown => JSON.parse(JSON.stringify(places).replaceAll(`${root}/`, ''));

describe('near copies', () => {
  const all = (texts: string[]) => nearDuplicates(texts, () => true);
  const words = (count: number, prefix = 'w') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

  it('share more than half of their 5-grams of words, whatever case and spaces', () => {
    // Of 12 words each has 8 5-grams; another last word changes one of them, another sixth word five.
    const text = words(12);
    const last = [...text.slice(0, 11), 'x'];
    const sixth = [...text.slice(0, 5), 'x', ...text.slice(6)];
    expect(all([text.join(' '), last.join('  ').toUpperCase()])).toEqual([{ first: 0, second: 1, similarity: 7 / 9 }]);
    expect(all([text.join(' '), sixth.join(' ')])).toEqual([]);
    expect(all(['One two', ' one  TWO ', 'one'])).toEqual([{ first: 0, second: 1, similarity: 1 }]);
  });

  it('are found for each text once, the most alike, among those that are compared', () => {
    const text = words(40);
    const near = (changed: number) => [...text.slice(0, 40 - changed), ...words(changed, 'x')].join(' ');
    const texts = [near(6), near(1), text.join(' ')];
    expect(all(texts).at(-1)).toEqual({ first: 1, second: 2, similarity: 35 / 37 });
    expect(nearDuplicates(texts, (first) => first === 0).at(-1)).toEqual({ first: 0, second: 2, similarity: 30 / 42 });
  });

  it('are nearly all found, at the edge of what counts', () => {
    // 60 words have 56 5-grams, of which 38 stay: 38 / 74 = 51 %.
    const pairs = Array.from({ length: 200 }, (_, n) => {
      const text = words(60, `t${n}w`);
      return [text.join(' '), [...text.slice(0, 42), ...words(18, `t${n}x`)].join(' ')];
    });
    expect(all(pairs.flat()).length).toBeGreaterThan(195);
    const far = Array.from({ length: 400 }, (_, n) => words(60, `t${n}w`).join(' '));
    expect(all(far)).toEqual([]);
  });
});

describe('a check of texts', () => {
  it('finds copies within and between splits, near copies, and texts that pairs share', async () => {
    const long = 'one two three four five six seven eight nine ten eleven twelve';
    const row = (...fields: (string | number)[]) => `${fields.join('\t')}\n`;
    const header = row('sentence1', 'sentence2', 'label');
    const data = await found('pairs', {
      'train.tsv': header + row(long, 'a', 0) + row('b', 'c', 1) + row('b', 'c', 0) + row('d', 'e', 1),
      'dev.tsv': header + row(`${long} more`, 'a', 1) + row('d', 'e', 1),
      'test.tsv': header + row('d', 'other', 0) + row('d', 'e', 0),
    });
    const { duplicates, near, splits } = await checkData(data);
    expect(splits.map(({ name, counts }) => [name, counts])).toEqual([
      ['train', [2, 2]],
      ['validation', [0, 2]],
      ['test', [2, 0]],
    ]);
    expect(bare(duplicates)).toEqual({
      within: { train: 1, validation: 0, test: 0 },
      between: 2,
      otherLabel: 2,
      pairs: [
        { first: 'pairs/train.tsv:5', second: 'pairs/dev.tsv:3', sameLabel: true },
        { first: 'pairs/train.tsv:5', second: 'pairs/test.tsv:3', sameLabel: false },
        { first: 'pairs/train.tsv:3', second: 'pairs/train.tsv:4', sameLabel: false },
      ],
    });
    // 13 and 14 words: 9 and 10 5-grams, of which 8 are common.
    expect(bare(near)).toEqual({
      between: 1,
      pairs: [{ first: 'pairs/train.tsv:2', second: 'pairs/dev.tsv:2', sameLabel: false, similarity: 8 / 11 }],
      shared: 4,
    });
  });

  it('counts words, or tokens and what is too long', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `${'fox '.repeat(i + 1)},${i % 2}`);
    const data = await found('lengths', { 'train.csv': `text,label\n${texts.join('\n')}\n` });
    expect(textLengths(data)).toEqual([{ unit: 'words', median: 10, p95: 19, max: 20 }]);
    const spec = dataSpec.parse({ tokenizer: 'test/fixtures/tokenizers/wordpiece', maxLength: 12 });
    const encoding = await textEncoding(spec, { isLabelled: true, hasMessages: false });
    // Each is a token, and two are put around.
    expect(textLengths(data, encoding)).toEqual([{ unit: 'tokens', median: 12, p95: 21, max: 22, truncated: 10 }]);
  });
});

/** What the data folder's README says of its sets. */
const published = {
  mrpc: { train: [1194, 2474], validation: [129, 279], test: [578, 1147] },
  rte: { train: [1249, 1241], test: [146, 131] },
  qnli: { train: [2545, 2455], test: [2702, 2761] },
  qqp: { train: [3225, 1775], test: [617, 383] },
  prompts: { train: [1053, 1053], test: [303, 303] },
};

describe.skipIf(!existsSync(join(sharedData, 'mrpc')))(
  'real sets of texts (skipped without the folder of WEIGHTLOCK_DATA)',
  () => {
    it.each(Object.entries(published))(
      '%s has the published counts, and no copy between splits',
      async (name, counts) => {
        const [data] = await findData(join(sharedData, name));
        expect(data.name).toBe(name);
        expect(Object.fromEntries(data.splits.map((split) => [split.name, split.counts]))).toEqual(counts);
        const { duplicates, near } = await checkData(data);
        expect(duplicates.between).toBe(0);
        // Rows that share a sentence with a training row, and pairs that occur twice in train.
        if (name === 'rte') expect([near?.shared, duplicates.within.train]).toEqual([104, 2]);
        if (name === 'qqp') expect(near?.shared).toBe(56);
        // Some of the benign prompts, two of which have a near copy.
        if (name === 'prompts') expect(near?.between).toBeLessThanOrEqual(2);
      },
    );
  },
);
