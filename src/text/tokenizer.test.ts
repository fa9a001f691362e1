import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { loadTokenizer, type Tokenizer } from './index.js';

interface Expected {
  texts: Record<string, string>;
  pairs: Record<string, [string, string]>;
  lengths: number[];
  tokenizers: Record<
    string,
    {
      texts: Record<string, { ids: number[]; plain: number[]; decoded: string; skipped: string }>;
      pairs: Record<string, [number[], number[]]>;
      cut: Record<string, Record<string, [number[], number[]]>>;
      cutAlone: Record<string, number[]>;
      pad: number | null;
      eos: number | null;
      bos: number | null;
    }
  >;
}

/** What transformers makes of hard strings; see tools/oracles/tokenizers_hub.py. */
const folder = 'test/fixtures/tokenizers';
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
const models = join(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models');
const small = Object.keys(expected.tokenizers).filter((name) => !name.includes('lm'));

describe.each(small)('%s', (name) => compare(name, join(folder, name)));

function compare(name: string, path: string): void {
  const want = expected.tokenizers[name];
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(path);
  });

  it.each(Object.entries(expected.texts))('encodes and decodes: %s', (title, text) => {
    const { ids, plain, decoded, skipped } = want.texts[title];
    expect(tokenizer.encode(text, undefined, { addSpecialTokens: false }).ids).toEqual(plain);
    expect(tokenizer.encode(text)).toEqual({ ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) });
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(skipped);
  });

  it.each(Object.entries(expected.pairs))('encodes pairs, and cuts the longer one first: %s', (title, [a, b]) => {
    const [ids, typeIds] = want.pairs[title];
    expect(tokenizer.encode(a, b)).toEqual({ ids, mask: ids.map(() => 1), typeIds });
    for (const [length, [cutIds, cutTypes]] of Object.entries(want.cut[title])) {
      const found = tokenizer.encode(a, b, { maxLength: Number(length) });
      expect([found.ids, found.typeIds], length).toEqual([cutIds, cutTypes]);
    }
  });

  it('cuts a single text, and knows its tokens by name', () => {
    for (const [length, ids] of Object.entries(want.cutAlone)) {
      expect(tokenizer.encode(expected.texts.repeated, undefined, { maxLength: Number(length) }).ids).toEqual(ids);
    }
    expect([tokenizer.eosId ?? null, tokenizer.bosId ?? null]).toEqual([want.eos, want.bos]);
    expect(tokenizer.padId).toBe(want.pad ?? want.eos ?? 0);
  });
}

for (const name of ['all-minilm-l6-v2', 'smollm2-135m-instruct']) {
  const path = join(models, name);
  const present = existsSync(path);
  if (!present) console.log(`skipped: no model in ${path} (set WEIGHTLOCK_DATA)`);
  describe.skipIf(!present)(name, () => {
    compare(name, path);

    it('gives the tokens that lie beside the model', async () => {
      const beside = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as {
        sentences?: string[];
        input_ids?: number[][];
        texts?: { text: string; input_ids: number[] }[];
      };
      const { sentences = [], input_ids = [], texts = [] } = beside;
      const tokenizer = await loadTokenizer(path);
      const all = [...sentences.map((text, i) => ({ text, input_ids: input_ids[i] })), ...texts];
      expect(all.length).toBeGreaterThan(1);
      for (const each of all) expect(tokenizer.encode(each.text).ids, each.text).toEqual(each.input_ids);
    });
  });
}

describe('a tokenizer', () => {
  it('reads a lone surrogate as U+FFFD, which transformers refuses', async () => {
    const tokenizer = await loadTokenizer(join(folder, 'byte-level'));
    expect(tokenizer.encode('a\ud800b')).toEqual(tokenizer.encode('a\ufffdb'));
    expect(tokenizer.encode('😀')).not.toEqual(tokenizer.encode('\ufffd'));
  });

  it('leaves out numbers without a token, and knows nothing in nothing', async () => {
    const tokenizer = await loadTokenizer(join(folder, 'byte-level'));
    const { ids } = tokenizer.encode('fox', undefined, { addSpecialTokens: false });
    expect(tokenizer.decode([...ids, 99_999])).toBe('fox');
    expect(tokenizer.decode([])).toBe('');
    expect(() => tokenizer.encode('fox', 'dog', { maxLength: 3 })).toThrow(
      'maxLength: expected at least the 4 special tokens around a text, got 3',
    );
  });
});

interface Words {
  texts: string[][];
  found: Record<string, { texts: { ids: number[]; words: number[] }[]; mask: number | null; special: number[] }>;
}

/** What transformers makes of texts that come in words; see tools/oracles/tokenizer_words.py. */
const inWords = JSON.parse(readFileSync(join(folder, 'words.json'), 'utf8')) as Words;

describe.each(Object.entries(inWords.found))('texts in words, by %s', (name, { texts, mask, special }) => {
  it('have the tokens of transformers, each with its word', async () => {
    const tokenizer = await loadTokenizer(join(folder, name));
    for (const [index, words] of inWords.texts.entries()) {
      const own = tokenizer.encodeWords(words);
      const { ids } = tokenizer.withSpecialTokens(own.ids);
      expect(ids, words.join(' ')).toEqual(texts[index].ids);
      const of = ids.map((_, at) => own.words[at - tokenizer.leadingSpecials] ?? -1);
      expect(of, words.join(' ')).toEqual(texts[index].words);
    }
  });

  it('have the mask and the special tokens of transformers', async () => {
    const { vocabulary, size } = await loadTokenizer(join(folder, name));
    expect(vocabulary.maskId ?? null).toBe(mask);
    expect([...vocabulary.special].toSorted((a, b) => a - b)).toEqual(special);
    expect(vocabulary.size).toBe(size);
  });
});

it('words of a byte-level tokenizer with steps before it have a space before them', async () => {
  const tokenizer = await loadTokenizer(join(folder, 'byte-level-split'));
  const plain = (text: string) => tokenizer.encode(text, undefined, { addSpecialTokens: false }).ids;
  expect(tokenizer.encodeWords(['fox', ' dog', ''])).toEqual({
    ids: [...plain(' fox'), ...plain(' dog')],
    words: [...plain(' fox').map(() => 0), ...plain(' dog').map(() => 1)],
  });
});

it('what is cut says how long it would have been', async () => {
  const tokenizer = await loadTokenizer(join(folder, 'wordpiece'));
  const whole = tokenizer.encode('the quick brown fox', 'the lazy dog').ids.length;
  expect(tokenizer.encode('the quick brown fox', 'the lazy dog', { maxLength: 6 }).whole).toBe(whole);
  expect(tokenizer.encode('the quick brown fox', 'the lazy dog', { maxLength: whole }).whole).toBeUndefined();
});

describe('files of a tokenizer', () => {
  const small = { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', vocab: { '[UNK]': 0, a: 1 } };
  const sound = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model: small };

  it('are refused with one line that names them', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'tokenizer-'));
    const path = join(scratch, 'tokenizer.json');
    const fails = async (content: unknown) => {
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
      return loadTokenizer(scratch).then(
        () => 'loaded',
        (error: Error) => `${error.constructor.name} ${error.message.replaceAll(path, 'FILE')}`,
      );
    };
    await expect(loadTokenizer(scratch)).rejects.toThrow(`${path}: expected the model's tokenizer, found none`);
    expect(await fails(sound)).toBe('loaded');
    expect(await fails('{"model":')).toContain('InputError FILE: expected JSON');
    expect(await fails('[]')).toBe('InputError FILE: expected a JSON object, found another value');
    expect(await fails({})).toBe('InputError FILE: model.vocab: expected tokens, found none');
    const model = (change: object) => ({ ...sound, model: { ...small, ...change } });
    expect(await fails(model({ vocab: { a: -1 } }))).toBe(
      'InputError FILE: expected numbers of tokens from 0 to 16777216, found "-1"',
    );
    expect(await fails(model({ vocab: { a: 1e9 } }))).toContain('found "1000000000"');
    expect(await fails(model({ type: 'BPE', merges: 3 }))).toContain('InputError FILE: ');
    expect(await fails({ ...sound, pre_tokenizer: { type: 'Unheard' } })).toContain('Unheard');
    expect(await fails({ ...sound, pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'x' } })).toBe(
      'InputError FILE: pre_tokenizer behavior: expected one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous, found "x"',
    );
    expect(await fails({ ...sound, normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } })).toContain(
      'InputError FILE: precompiled_charsmap: expected a table',
    );
    expect(
      await fails({ ...sound, post_processor: { type: 'TemplateProcessing', single: [{ x: 1 }], pair: [] } }),
    ).toBe('InputError FILE: post_processor: expected special tokens and the sequences A and B, found another part');
    const special = (token: object, part: object = {}) => ({
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'a', type_id: 0, ...part } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }],
      special_tokens: { a: { id: 'a', ids: [1], ...token } },
    });
    expect(await fails({ ...sound, post_processor: special({}) })).toBe('loaded');
    // Number 2 is one more than there are.
    expect(await fails({ ...sound, post_processor: special({ ids: [2] }) })).toBe(
      'InputError FILE: post_processor: expected the number of the token "a", below 2, found "2"',
    );
    expect(await fails({ ...sound, post_processor: special({}, { type_id: 256 }) })).toBe(
      'InputError FILE: post_processor: expected a type_id from 0 to 255, found "256"',
    );
    const bert = { type: 'BertProcessing', cls: ['a', 1], sep: ['x', 2] };
    expect(await fails({ ...sound, post_processor: bert })).toContain('the number of the token "x", below 2');
    await rm(scratch, { recursive: true });
  });

  it.each(['normalizer', 'pre_tokenizer', 'decoder'])(
    'a %s with a pattern of no kind is refused unprinted',
    async (part) => {
      const scratch = await mkdtemp(join(tmpdir(), 'tokenizer-'));
      const warned = vi.spyOn(console, 'warn');
      const type = part === 'pre_tokenizer' ? 'Split' : 'Replace';
      const [list] =
        { normalizer: ['normalizers'], pre_tokenizer: ['pretokenizers'], decoder: ['decoders'] }[part] ?? [];
      const odd = { type, pattern: { Glob: '\u001b[2J' }, content: '', behavior: 'Removed', invert: false };
      for (const each of [odd, { type: 'Sequence', [String(list)]: [odd] }]) {
        await writeFile(join(scratch, 'tokenizer.json'), JSON.stringify({ ...sound, [part]: each }));
        await expect(loadTokenizer(scratch)).rejects.toThrow(
          `${part}: ${type}: expected a pattern {"String": "…"} or {"Regex": "…"}, found "{`,
        );
      }
      expect(warned).not.toHaveBeenCalled();
      warned.mockRestore();
      await rm(scratch, { recursive: true });
    },
  );

  it('count by their content', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'tokenizer-'));
    await cp(join(folder, 'wordpiece'), scratch, { recursive: true });
    const { digest } = await loadTokenizer(join(folder, 'wordpiece'));
    expect((await loadTokenizer(scratch)).digest).toBe(digest);
    await writeFile(join(scratch, 'tokenizer_config.json'), '{"model_max_length": 65}');
    expect((await loadTokenizer(scratch)).digest).not.toBe(digest);
    await rm(scratch, { recursive: true });
  });
});
