import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../text/index.js';
import {
  bucketOf,
  type Dataset,
  dataSpec,
  loadData,
  readBatch,
  subset,
  type TextExamples,
  textsApart,
} from './index.js';

const tokenizer = 'test/fixtures/tokenizers/wordpiece';
const chatty = 'test/fixtures/tokenizers/byte-level-split';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-texts-'));
});
afterAll(() => rm(root, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}
const load = (path: string, more: object = {}) => loadData(dataSpec.parse({ path, tokenizer, ...more }));
const fails = (path: string, more: object = {}) =>
  load(path, more).then(
    () => 'loaded',
    (error: Error) => `${error.constructor.name} ${error.message.replaceAll(`${root}/`, '')}`,
  );
const textsOf = (dataset: Dataset) => Array.from(dataset.indices, (index) => dataset.textsOf?.(index));
const placesOf = (dataset: Dataset) =>
  Array.from(dataset.indices, (index) => dataset.nameOf?.(index).replace(`${root}/`, ''));
const tokensOf = ({ examples, indices }: Dataset) =>
  Array.from(indices, (index) => [...(examples as TextExamples).tokens(index)]);

/** Two classes, some pairs. */
const tsv = (pairs: readonly (readonly [string, string, string | number])[]) =>
  ['idx\tsentence1\tsentence2\tlabel', ...pairs.map((pair, index) => [index, ...pair].join('\t')), ''].join('\n');
const train = tsv([
  ['The fox jumps', 'A dog sleeps', 0],
  ['The "fox', 'The fox', 1],
  ['a b c d e f g h', 'a', 0],
  ['quick', 'brown', 1],
  ['lazy', 'dog', 1],
  ['A man', 'is eating', 0],
]);

describe('bucketOf', () => {
  it('pads little, to few lengths, and never beyond the limit', () => {
    const lengths = Array.from({ length: 512 }, (_, i) => i + 1);
    const buckets = lengths.map((length) => bucketOf(length));
    expect([...new Set(buckets)]).toEqual([8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 192, 256, 384, 512]);
    expect(buckets.every((bucket, i) => bucket >= lengths[i])).toBe(true);
    expect([0, 513, 700, 1024, 1025, 8192].map((length) => bucketOf(length))).toEqual([8, 768, 768, 1024, 1536, 8192]);
    expect([97, 100, 3].map((length) => bucketOf(length, 100))).toEqual([100, 100, 8]);
    expect(bucketOf(3, 5)).toBe(5);
  });
});

describe('texts in a folder', () => {
  it('become padded tokens, with their places, texts and classes', async () => {
    const folder = join(root, 'pairs');
    await write('pairs/train.tsv.gz', gzipSync(train));
    await write('pairs/dev.tsv', tsv([['The dog', 'jumps', 1]]));
    await write(
      'pairs/test.tsv',
      tsv([
        ['brown fox', 'quick fox jumps over the lazy dog', 0],
        ['a', 'b', 1],
      ]),
    );
    await write('pairs/more.tsv', train);
    const parts = await load(folder);
    expect([parts.train.size, parts.validation.size, parts.test.size]).toEqual([6, 1, 2]);
    expect(parts.train.classes).toEqual(['0', '1']);
    expect([...parts.train.labels]).toEqual([0, 1, 0, 1, 1, 0]);
    expect(textsOf(parts.test)).toEqual([
      ['brown fox', 'quick fox jumps over the lazy dog'],
      ['a', 'b'],
    ]);
    expect(placesOf(parts.train)[1]).toBe('pairs/train.tsv.gz:3');
    expect(parts.notes).toEqual([
      `${folder}/more.tsv is left out: it is not called as a split (train, dev, test).`,
      'Texts from "sentence1" and "sentence2", classes from "label".',
    ]);
    const reads = await loadTokenizer(tokenizer);
    const [first, second] = [reads.encode('brown fox', 'quick fox jumps over the lazy dog'), reads.encode('a', 'b')];
    const width = bucketOf(first.ids.length);
    const batch = readBatch(parts.test);
    const pad = (values: readonly number[], filler: number) =>
      Array.from({ length: width }, (_, at) => BigInt(values[at] ?? filler));
    expect([...batch.input_ids]).toEqual([...pad(first.ids, reads.padId), ...pad(second.ids, reads.padId)]);
    expect([...batch.attention_mask]).toEqual([...pad(first.mask, 0), ...pad(second.mask, 0)]);
    expect([...batch.token_type_ids]).toEqual([...pad(first.typeIds, 0), ...pad(second.typeIds, 0)]);
    expect([...(parts.test.examples.lengths ?? [])]).toEqual([first.ids.length, second.ids.length]);
    expect(readBatch(parts.test, 1, 1).input_ids).toHaveLength(bucketOf(second.ids.length));
  });

  it('of pairs are also given apart, each as a text of its own, where both are there', async () => {
    const pairs = tsv([
      ['brown fox', 'a dog', 0],
      ['the quick brown fox jumps over the lazy dog', 'b', 1],
    ]);
    const { test } = await load(await write('apart.tsv', pairs), { testShare: 1, maxLength: 7 });
    const reads = await loadTokenizer(tokenizer);
    const cut = (text: string) => reads.encode(text, undefined, { maxLength: 7 }).ids;
    const second = textsApart(subset(test, [1, 0]));
    const [[first, other]] = [textsOf(subset(test, [1, 0]))];
    expect(second?.map(tokensOf)).toEqual([0, 1].map((side) => [first, other].map((both = []) => cut(both[side]))));
    expect(second?.map(({ labels }) => [...labels])).toEqual([
      [...subset(test, [1, 0]).labels],
      [...subset(test, [1, 0]).labels],
    ]);
    const alone = await load(await write('alone.tsv', `text\tlabel\nfox\t0\ndog\t1\n`), { testShare: 1 });
    const empty = await load(
      await write(
        'empty.tsv',
        tsv([
          ['fox', 'a', 0],
          ['dog', '', 1],
        ]),
      ),
      { testShare: 1 },
    );
    expect([alone, empty].map(({ test }) => textsApart(test))).toEqual([undefined, undefined]);
  });

  it('without test texts are tested on the others; without either they are split', async () => {
    await write('dev/train.tsv', train);
    const path = await write('dev/validation.tsv', tsv([['The dog', 'jumps', 1]]));
    const parts = await load(join(root, 'dev'));
    expect(textsOf(parts.test)).toEqual([['The dog', 'jumps']]);
    expect(parts.notes).toContain(`${path} serves as test texts, since there is no test file.`);
    expect(parts.train.size + parts.validation.size).toBe(6);
    const alone = await load(join(root, 'dev/train.tsv'), { testShare: 0.5, validationShare: 0.34 });
    expect([alone.train.size, alone.validation.size, alone.test.size]).toEqual([2, 1, 3]);
    const all = [alone.train, alone.validation, alone.test].flatMap(placesOf);
    expect(all.toSorted()).toEqual([2, 3, 4, 5, 6, 7].map((line) => `dev/train.tsv:${line}`));
  });

  it('may all be test texts', async () => {
    const path = await write('all.csv', 'id,prompt,label\n1,"How, now?",safe\n2,Stop,unsafe\n3,Go,safe\n');
    const { train: none, test } = await load(path, { testShare: 1 });
    expect([none.size, test.size, test.classes]).toEqual([0, 3, ['safe', 'unsafe']]);
    const labels = textsOf(test).map((texts, i) => `${texts?.[0]} ${test.classes[test.labels[i]]}`);
    expect(labels.toSorted()).toEqual(['Go safe', 'How, now? safe', 'Stop unsafe']);
    expect(await fails(path, { testShare: 1, limit: 2 })).toBe(
      'InputError data.limit: expected none, as data.testShare 1 leaves nothing but test examples',
    );
  });

  it('may lie in several Parquet files', async () => {
    const [first, second] = ['snappy', 'zstd'].map((codec) => readFileSync(`test/fixtures/tables/${codec}.parquet`));
    const path = await write('shards/train-00000-of-00002.parquet', first);
    await write('shards/train-00001-of-00002.parquet', second);
    const folder = dirname(path);
    const options = { text: 'text', label: 'none', testShare: 0.5, validationShare: 0 };
    const { train: some, test, notes } = await load(folder, options);
    expect([some.size, test.size, some.classes]).toEqual([23, 23, []]);
    const places = [some, test].flatMap(placesOf).toSorted();
    expect(places).toEqual(
      [0, 1]
        .flatMap((n) => Array.from({ length: 23 }, (_, i) => `shards/train-0000${n}-of-00002.parquet:${i + 1}`))
        .toSorted(),
    );
    expect(notes).toEqual(['Texts from "text", no classes.']);
    expect(await fails(folder, { text: 'text' })).toBe(
      'InputError shards/train-00000-of-00002.parquet:3: expected a class in the column "label", found nothing',
    );
  });
});

describe('what is encoded', () => {
  it('is refused where it is longer than the model reads, or cut where that is said', async () => {
    const path = await write('long.tsv', `text\tlabel\nfox\t0\n${'the fox '.repeat(40)}\t1\ndog\t0\n`);
    // The tokenizer's own limit.
    expect(await fails(path, { testShare: 1 })).toBe(
      'InputError long.tsv:3: expected at most the 64 tokens that the model reads, found 82; data.maxLength cuts longer texts',
    );
    const { test, notes } = await load(path, { testShare: 1, maxLength: 12 });
    expect(notes?.at(-1)).toBe('texts test: 1 of 3 texts (33.3 %) are cut at 12 tokens.');
    expect([...(test.examples.lengths ?? [])].toSorted((a, b) => a - b)).toEqual([3, 3, 12]);
    expect(await fails(path, { maxLength: 65 })).toBe(
      'InputError data.maxLength: expected at most 64 tokens, as the model reads no more, got 65',
    );
    expect(await fails(path, { tokenizer: undefined })).toBe(
      'InputError data.tokenizer: expected a model directory whose tokenizer reads the texts, got none',
    );
  });

  it('without classes is cut into pieces, with special tokens around each, and nothing is lost', async () => {
    const book = 'The quick brown fox jumps over the lazy dog.\nAnd the dog sleeps.\n\nA man is eating food.\n';
    const path = await write('book.txt.gz', gzipSync(book));
    const { test, notes } = await load(path, { testShare: 1, maxLength: 8 });
    expect(test.classes).toEqual([]);
    expect(notes?.[0]).toBe('Each paragraph is a text.');
    expect(placesOf(test).toSorted()).toEqual([
      'book.txt.gz:1 piece 1',
      'book.txt.gz:1 piece 2',
      'book.txt.gz:1 piece 3',
      'book.txt.gz:4',
    ]);
    const reads = await loadTokenizer(tokenizer);
    const [paragraph] = book.split('\n\n');
    const whole = reads.encode(paragraph, undefined, { addSpecialTokens: false }).ids;
    const [cls, sep] = reads.encode('').ids;
    const pieces = tokensOf(test).filter((_, at) => placesOf(test)[at]?.includes('piece'));
    for (const piece of pieces) expect([piece[0], piece.at(-1)]).toEqual([cls, sep]);
    expect(pieces.flatMap((piece) => piece.slice(1, -1))).toEqual(whole);
    const lines = await load(await write('lines.txt', 'The fox\nA dog\n'), { testShare: 1 });
    expect(lines.notes).toEqual(['Each line is a text.']);
    expect(textsOf(lines.test).flat().toSorted()).toEqual(['A dog', 'The fox']);
  });

  it('of conversations is written by the chat template, and the prompt is known', async () => {
    const folder = join(root, 'chat-model');
    await cp(chatty, folder, { recursive: true });
    await write(
      'chat-model/chat_template.jinja',
      '{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}',
    );
    const messages = [
      { role: 'user', content: 'What is it?' },
      { role: 'assistant', content: 'The fox.' },
    ];
    const lines = [{ messages }, { messages: [...messages, { role: 'user', content: 'Why?' }] }];
    const path = await write('talk.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
    const options = { tokenizer: folder, testShare: 1 };
    const { test } = await load(path, options);
    const reads = await loadTokenizer(folder);
    const encode = (text: string) => reads.encode(text, undefined, { addSpecialTokens: false }).ids;
    const prompt = '<|begin|>user\nWhat is it?<|im_end|><|begin|>assistant\n';
    const answered = `${prompt}The fox.<|im_end|>`;
    const at = placesOf(test).indexOf('talk.jsonl:1');
    expect(tokensOf(test)[at]).toEqual(encode(answered));
    expect(tokensOf(test)[1 - at]).toEqual(encode(`${answered}<|begin|>user\nWhy?<|im_end|><|begin|>assistant\n`));
    const { promptLengths } = test.examples as TextExamples;
    expect([promptLengths?.[at], promptLengths?.[1 - at]]).toEqual([encode(prompt).length, 0]);
    // The same of two columns, and of texts with classes.
    const columns = await write('columns.csv', 'instruction,output\nWhat is it?,The fox.\n');
    const { test: same } = await load(columns, { ...options, chat: true });
    expect(tokensOf(same)).toEqual([encode(answered)]);
    const classes = await write('classes.csv', 'text,label\nWhat is it?,a\nGo,b\n');
    const { test: labelled } = await load(classes, { ...options, chat: true });
    expect(tokensOf(labelled)).toContainEqual(encode(prompt));
    expect((labelled.examples as TextExamples).promptLengths).toBeUndefined();
    expect(await fails(path, { testShare: 1 })).toBe(
      'InputError test/fixtures/tokenizers/wordpiece: expected a chat template (chat_template.jinja) for conversations, found none',
    );
  });
});

describe('columns', () => {
  it('are found by usual names, or are the given ones', async () => {
    const header = async (names: string, more = {}) => {
      const row = names.split(',').map((_, i) => String(i % 2));
      const path = await write('header.csv', `${names}\n${row}\n${row.map((value) => String(1 - Number(value)))}\n`);
      return (await load(path, { testShare: 1, ...more })).notes?.[0];
    };
    expect(await header('question1,question2,label')).toBe(
      'Texts from "question1" and "question2", classes from "label".',
    );
    expect(await header('question,sentence,label')).toBe('Texts from "question" and "sentence", classes from "label".');
    expect(await header('sentence,class')).toBe('Texts from "sentence", classes from "class".');
    expect(await header('a,b,label', { text: 'b' })).toBe('Texts from "b", classes from "label".');
    expect(await header('a,b,c', { text: 'a', textPair: 'b', label: 'c' })).toBe(
      'Texts from "a" and "b", classes from "c".',
    );
    expect(await header('text,label', { label: 'none' })).toBe('Texts from "text", no classes.');
  });

  it('that are wrong are told with those that there are', async () => {
    const path = await write('wrong.csv', 'a,b\n1,2\n');
    const there = 'found "a", "b"';
    expect(await fails(path)).toBe(
      `InputError wrong.csv: expected data.text, the column of the texts; ${there}`.replace(
        'wrong.csv',
        path.replace(`${root}/`, ''),
      ),
    );
    for (const [key, more] of Object.entries({
      text: {},
      textPair: { text: 'a' },
      label: { text: 'a' },
      messages: {},
    })) {
      expect(await fails(path, { ...more, [key]: 'x' })).toBe(
        `InputError data.${key}: expected a column of wrong.csv, got "x"; ${there}`,
      );
    }
    expect(await fails(path, { textPair: 'a' })).toBe(
      'InputError data.textPair: expected data.text beside it, got none',
    );
    const plain = await write('plain.txt', 'a\nb\n');
    expect(await fails(plain, { text: 'x' })).toBe(
      'InputError data.text: expected none, as plain.txt is plain text without columns, got "x"',
    );
  });
});

describe('classes', () => {
  it('are in the order of their numbers, or names', async () => {
    const classes = async (values: string[]) => {
      const path = await write('classes.tsv', ['text\tlabel', ...values.map((value) => `t\t${value}`), ''].join('\n'));
      return (await load(path, { testShare: 1 })).test.classes;
    };
    expect(await classes(['10', '9', '2', '10'])).toEqual(['2', '9', '10']);
    expect(await classes(['b', 'a', '10', '9'])).toEqual(['10', '9', 'a', 'b']);
    expect((await load(await write('mrpc/train.tsv', train).then(dirname), { name: 'mrpc' })).train.classes).toEqual([
      'not equivalent',
      'equivalent',
    ]);
  });

  it('that training lacks, or that are not there, are refused with their place', async () => {
    await write('odd/train.tsv', train);
    await write(
      'odd/test.tsv',
      tsv([
        ['a', 'b', 0],
        ['a', 'b', -1],
      ]),
    );
    expect(await fails(join(root, 'odd'))).toBe(
      'InputError odd/test.tsv:3: expected a class of the training texts ("0", "1"), found "-1"',
    );
    expect(await fails(await write('none.csv', 'text,label\na,0\nb,\n'))).toBe(
      'InputError none.csv:3: expected a class in the column "label", found nothing',
    );
    expect(await fails(await write('one.csv', 'text,label\na,0\nb,0\n'))).toBe(
      'InputError one.csv: expected two classes or more, found "0" alone',
    );
    expect(await fails(await write('no.txt', 'a\nb\n'), { classes: [0, 1] })).toBe(
      'InputError data.classes: expected none, as texts has no classes, got 0',
    );
    const some = await load(join(root, 'odd/train.tsv'), { classes: [1, 0], testShare: 0.5 });
    expect(some.test.classes).toEqual(['1', '0']);
  });
});

describe('files that are no set of texts', () => {
  it('are refused with one line', async () => {
    await write('double/train.tsv', train);
    await write('double/train.csv', 'text,label\n');
    expect(await fails(join(root, 'double'))).toBe(
      'InputError double: expected one file of train texts, found train.csv, train.tsv',
    );
    expect(await fails(await write('empty.csv', 'text,label\n'))).toBe(
      'InputError empty.csv: expected texts, found none',
    );
    expect(await fails(await write('null.jsonl', '{"text": null}\n'))).toBe(
      'InputError null.jsonl:1: expected text in the column "text", found nothing',
    );
    expect(await fails(await write('other/x.json', '[]').then(dirname))).toContain('other: expected IDX files');
    await write('link/train.tsv', train);
    await symlink('/etc/hostname', join(root, 'link/test.tsv'));
    expect(await fails(join(root, 'link'))).toBe(
      'InputError link/test.tsv: expected a file of texts, found a link out of the folder',
    );
  });

  it('take no options of images, and images none of texts', async () => {
    const path = await write('options.tsv', train);
    for (const [key, value] of Object.entries({ size: 8, channels: 3, mean: [0.5], crop: 1, flip: true })) {
      expect(await fails(path, { [key]: value })).toMatch(
        `InputError data.${key}: expected none, as texts has texts, got "`,
      );
    }
    const digits = (more: object) => loadData(dataSpec.parse({ name: 'digits', ...more }));
    for (const [key, value] of Object.entries({
      text: 'a',
      label: 'b',
      maxLength: 8,
      tokenizer,
      chat: true,
      pieces: false,
    })) {
      await expect(digits({ [key]: value })).rejects.toThrow(
        `data.${key}: expected none, as digits has images, got "${value}"`,
      );
    }
  });
});
