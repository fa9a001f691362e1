import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Encoding, loadTokenizer, type Tokenizer } from '../text/index.js';
import { encodeText, type TextEncoding } from './encode-text.js';
import { dataSpec, findData, loadData, NO_CLASS, type TextExamples } from './index.js';

const folder = 'test/fixtures/tokenizers/wordpiece';
let root: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-words-'));
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => rm(root, { recursive: true }));

async function write(name: string, rows: readonly object[]): Promise<string> {
  const path = join(root, name);
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}
const load = (path: string, more: object = {}) =>
  loadData(dataSpec.parse({ path, tokenizer: folder, testShare: 1, ...more }));
const fails = (path: string, more: object = {}) =>
  load(path, more).then(
    () => 'loaded',
    (error: Error) => `${error.constructor.name} ${error.message.replaceAll(`${root}/`, '')}`,
  );

/** `foxdog` is several tokens. */
const rows = [
  { tokens: ['foxdog', 'and', 'the', 'fox'], ner_tags: ['LOC', 'O', 'O', 'PER'], pos_tags: [1, 2, 3, 1] },
  { tokens: ['the', 'dog', 'sleeping'], ner_tags: ['O', 'PER', 'O'], pos_tags: [3, 1, 4] },
];

describe('texts in words', () => {
  it('have a class a word, at its first token', async () => {
    const { test, notes } = await load(await write('ner.jsonl', rows));
    expect(notes?.[0]).toBe('Texts in words from "tokens", the class of each from "ner_tags".');
    expect(test.classes).toEqual([]);
    const examples = test.examples as TextExamples;
    expect(examples.tokenClasses?.names).toEqual(['LOC', 'O', 'PER']);
    const at = [...test.indices].findIndex((index) => test.textsOf?.(index)[0] === 'foxdog and the fox');
    const own = tokenizer.encodeWords(rows[0].tokens);
    expect([...examples.tokens(at)]).toEqual(tokenizer.withSpecialTokens(own.ids).ids);
    const first = (word: number) => own.words.indexOf(word) + 1;
    const classes = [...(examples.tokenClasses?.of(at) ?? [])];
    expect([0, 1, 2, 3].map((word) => classes[first(word)])).toEqual([0, 1, 1, 2]);
    expect(own.words.filter((word) => word === 0).length).toBeGreaterThan(1);
    expect(classes.filter((label) => label !== NO_CLASS)).toHaveLength(4);
    expect(classes).toHaveLength(examples.lengths[at]);
  });

  it('take the given columns, and numbers as classes in their order', async () => {
    const path = await write('pos.jsonl', rows);
    const { test, notes } = await load(path, { label: 'pos_tags' });
    expect(notes?.[0]).toBe('Texts in words from "tokens", the class of each from "pos_tags".');
    expect((test.examples as TextExamples).tokenClasses?.names).toEqual(['1', '2', '3', '4']);
    const without = await load(path, { label: 'none' });
    expect(without.notes?.[0]).toBe('Texts in words from "tokens", no classes.');
    expect((without.test.examples as TextExamples).tokenClasses).toBeUndefined();
    const named = await write(
      'named.jsonl',
      rows.map(({ tokens: mine, pos_tags: of }) => ({ mine, of })),
    );
    expect((await load(named, { text: 'mine', label: 'of' })).notes?.[0]).toContain(
      '"mine", the class of each from "of"',
    );
  });

  it('are cut, or cut into pieces, with their classes', async () => {
    const long = { tokens: Array.from({ length: 20 }, (_, at) => (at % 2 ? 'fox' : 'dog')), tags: [] as string[] };
    long.tags = long.tokens.map((word) => word.toUpperCase());
    const path = await write('long.jsonl', [long, { tokens: ['the'], tags: ['FOX'] }]);
    const classesOf = ({ examples }: { examples: unknown }) => {
      const { tokenClasses, size } = examples as TextExamples;
      return Array.from({ length: size }, (_, index) => [...(tokenClasses?.of(index) ?? [])]);
    };
    const cut = await load(path, { maxLength: 12, pieces: false });
    expect(
      classesOf(cut.test)
        .map(({ length }) => length)
        .toSorted(),
    ).toEqual([12, 3]);
    const pieces = classesOf((await load(path, { maxLength: 12 })).test);
    expect(pieces.map(({ length }) => length)).toContain(12);
    expect(pieces.flat().filter((label) => label !== NO_CLASS)).toHaveLength(21);
    for (const piece of pieces) expect([piece[0], piece.at(-1)]).toEqual([NO_CLASS, NO_CLASS]);
  });

  it('are described with the words of each class', async () => {
    const [found] = await findData(await write('described.jsonl', rows));
    expect(found.classes).toEqual(['LOC', 'O', 'PER']);
    expect(found.splits).toEqual([{ name: 'all', size: 2, counts: [1, 4, 2] }]);
    expect(found.notes.at(-1)).toBe('Classes are counted in words.');
  });

  it('are refused with their line where a row is malformed', async () => {
    const [good] = rows;
    const bad = async (row: object) => fails(await write('bad.jsonl', [good, row]));
    expect(await bad({ tokens: ['a', 'b'], ner_tags: ['O'] })).toBe(
      'InputError bad.jsonl:2: expected a class for each of the 2 words in the column "ner_tags", found 1',
    );
    expect(await bad({ tokens: ['a'], ner_tags: [null] })).toBe(
      'InputError bad.jsonl:2: expected a class for word 1 in the column "ner_tags", found nothing',
    );
    expect(await bad({ tokens: ['a'], ner_tags: 'O' })).toBe(
      'InputError bad.jsonl:2: expected a list with the class of each word in the column "ner_tags", found "O"',
    );
    expect(await bad({ tokens: [], ner_tags: [] })).toBe(
      'InputError bad.jsonl:2: expected a list of words in the column "tokens", found an empty list',
    );
    expect(await bad({ tokens: ['a', 3], ner_tags: ['O', 'O'] })).toBe(
      'InputError bad.jsonl:2: expected words in the column "tokens", found a number at 2',
    );
    expect(await fails(await write('chat.jsonl', rows), { chat: true, tokenizer: folder })).toContain('chat');
  });
});

describe('a text is encoded once', () => {
  /** The tokenizer, with what it was asked to encode. */
  function counting(): { reads: Tokenizer; asked: string[] } {
    const asked: string[] = [];
    const reads: Tokenizer = Object.assign(Object.create(tokenizer) as Tokenizer, {
      encode(text: string, pair?: string, options?: object): Encoding {
        asked.push([text, pair].filter((part) => part !== undefined).join(' | '));
        return tokenizer.encode(text, pair, options);
      },
      withSpecialTokens: (ids: readonly number[]) => tokenizer.withSpecialTokens(ids),
      leadingSpecials: tokenizer.leadingSpecials,
    });
    return { reads, asked };
  }
  const text = 'the quick brown fox jumps over the lazy dog';

  it.each([
    ['that is cut off', { text }, { tooLong: 'cut' }, [text]],
    ['that is cut into pieces', { text }, { tooLong: 'pieces' }, [text]],
    ['that fits', { text: 'fox' }, { tooLong: 'pieces' }, ['fox']],
    ['of two that is cut off', { text, pair: 'a dog' }, { tooLong: 'cut' }, [`${text} | a dog`]],
  ] as const)('%s', (_, record, { tooLong }, expected) => {
    const { reads, asked } = counting();
    const how: TextEncoding = { tokenizer: reads, limit: 8, tooLong, chat: false };
    const found = encodeText(record, how, () => 'here');
    expect(asked).toEqual(expected);
    const pair = 'pair' in record ? record.pair : undefined;
    const whole = tokenizer.encode(record.text, pair);
    if (tooLong === 'cut') {
      const { ids, typeIds } = tokenizer.encode(record.text, pair, { maxLength: 8 });
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ ids, typeIds, whole: whole.ids.length, prompt: 0 });
    } else {
      const inner = found.flatMap(({ ids }) => ids.slice(1, -1));
      expect(inner).toEqual(whole.ids.slice(1, -1));
    }
  });

  it('is refused where no room is left beside the special tokens', () => {
    const how = (tooLong: TextEncoding['tooLong'], limit: number): TextEncoding => ({
      ...{ tokenizer, limit, tooLong },
      chat: false,
    });
    expect(() => encodeText({ text }, how('cut', 1), () => 'here')).toThrow(
      'maxLength: expected at least the 2 special tokens around a text, got 1',
    );
    expect(() => encodeText({ text }, how('pieces', 2), () => 'here')).toThrow(
      'data.maxLength: expected more than the 2 special tokens around a text, got 2',
    );
    expect(() => encodeText({ text }, how('error', 4), () => 'here')).toThrow(/^here: expected at most the 4 tokens/);
  });
});
