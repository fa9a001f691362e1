import { createHash } from 'node:crypto';
import { locateInside, readFileCapped } from '../formats/index.js';
import { InputError, lineOf, quote } from '../registry/index.js';
import { type ChatMessage, ChatTemplate } from './chat-template.js';
import { mendDecoder } from './decoders.js';
import { type LibraryTokenizer, library } from './library.js';
import { mendNormalizer } from './normalizers.js';
import { requirePatterns } from './patterns.js';
import { mendPreTokenizer } from './pre-tokenizers.js';
import { longestFirst, readTemplate, type Template, type TemplatePart } from './template.js';

/** Files of a model directory that are read, and their largest sizes: Gemma's vocabulary of 262,144 takes 33 MB. */
export const tokenizerFiles: Readonly<Record<string, number>> = {
  'tokenizer.json': 2 ** 27,
  'tokenizer_config.json': 2 ** 24,
  'special_tokens_map.json': 2 ** 20,
  'chat_template.jinja': 2 ** 20,
};
/** Words whose tokens are kept, and letters of the longest that is. */
const KEPT_WORDS = 100_000;
const LONGEST_KEPT = 64;
/** Highest number of a token. */
const MAX_ID = 2 ** 24;

/** A text as a model takes it; all three are as long. */
export interface Encoding {
  /** Numbers of its tokens. */
  readonly ids: number[];
  /** 1 for each: nothing is padded here. */
  readonly mask: number[];
  /** Which of two texts each token belongs to. */
  readonly typeIds: number[];
  /** Tokens that it would have, special ones included, where it was cut; undefined where it was not. */
  readonly whole?: number;
}

/** The tokens of a text that comes in words, without special tokens. */
export interface WordTokens {
  /** Numbers of its tokens. */
  readonly ids: number[];
  /** The word that each token is of, from 0. */
  readonly words: number[];
}

/** What the tokens of a model's vocabulary are for. */
export interface Vocabulary {
  /** Tokens with numbers, from 0 to this. */
  readonly size: number;
  /** The token that hides another, which a model is to find (`mask_token`); undefined where there is none. */
  readonly maskId: number | undefined;
  /** Tokens that no text is made of: those around texts, padding, the mask, what is unknown. */
  readonly special: ReadonlySet<number>;
}

/** How a text is encoded. */
export interface EncodeOptions {
  /** Most tokens, special ones included: the longer text is cut at its end first. Default all. */
  readonly maxLength?: number;
  /** Whether special tokens are put around it; default true. */
  readonly addSpecialTokens?: boolean;
}

/**
 * Texts to numbers and back, as transformers does it with the same files. Known to differ: a lone surrogate, which transformers
 * refuses, is read as U+FFFD; characters newer than a library's Unicode tables may be split otherwise.
 */
export interface Tokenizer {
  /**
   * Encodes a text, or a pair of texts.
   *
   * @throws InputError when `maxLength` leaves no room for the special tokens, or a text cannot be encoded.
   */
  encode(text: string, pair?: string, options?: EncodeOptions): Encoding;
  /** Puts special tokens around the tokens of a text. */
  withSpecialTokens(ids: readonly number[]): Encoding;
  /** How many of these stand before the text's own. */
  readonly leadingSpecials: number;
  /**
   * Encodes the words of a text, each on its own, as transformers does with `is_split_into_words`. Where spaces are part of
   * tokens (byte-level BPE), one stands before each word (`add_prefix_space`).
   *
   * @throws InputError when a word cannot be encoded.
   */
  encodeWords(words: readonly string[]): WordTokens;
  /**
   * The text of some tokens; numbers without a token are left out.
   *
   * @param options - `skipSpecialTokens`: default false.
   */
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /** Number for padding: `pad_token`, else `eos_token`, else 0. Whatever it is, the mask hides it. */
  readonly padId: number;
  /** Number of the token that ends a text. */
  readonly eosId: number | undefined;
  /** Number of the token that begins a text. */
  readonly bosId: number | undefined;
  /** Tokens with numbers, from 0 to this. */
  readonly size: number;
  /** What its tokens are for. */
  readonly vocabulary: Vocabulary;
  /** Most tokens that the model's files speak of (`model_max_length`). */
  readonly maxLength: number | undefined;
  /** Whether there is a chat template. */
  readonly hasChatTemplate: boolean;
  /**
   * Writes a conversation as the model was trained to see it; see {@link ChatTemplate}.
   *
   * @throws InputError when there is no template, or it refuses.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options?: { readonly addGenerationPrompt?: boolean }): string;
  /** SHA-256 of the files that it was read from, by name. */
  readonly digest: string;
}

/**
 * Reads the tokenizer of a model directory: `tokenizer.json`, and `tokenizer_config.json`, `special_tokens_map.json` and
 * `chat_template.jinja` where they are there. The work is `@huggingface/tokenizers`', mended where it differs from the Rust
 * library. A pattern in the file is a regular expression that runs as it is: one made to be slow is slow.
 *
 * @throws InputError when there is no tokenizer, or a file is malformed, too large or of a kind that is not known.
 * @example
 * const tokenizer = await loadTokenizer('models/all-minilm-l6-v2');
 * tokenizer.encode('A man is eating.', 'Someone has a meal.', { maxLength: 64 });
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const files = new Map<string, string>();
  const digest = createHash('sha256');
  for (const [name, maxBytes] of Object.entries(tokenizerFiles)) {
    const path = await locateInside(folder, name);
    if (path === undefined) continue;
    const bytes = await readFileCapped(path, maxBytes);
    digest.update(`${name}\0${createHash('sha256').update(bytes).digest('hex')}\n`);
    files.set(name, new TextDecoder().decode(bytes));
  }
  const main = `${folder}/tokenizer.json`;
  if (!files.has('tokenizer.json')) throw new InputError(`${main}: expected the model's tokenizer, found none`);
  const json = readObject(main, files.get('tokenizer.json'));
  const config = {
    ...readObject(`${folder}/special_tokens_map.json`, files.get('special_tokens_map.json')),
    ...readObject(`${folder}/tokenizer_config.json`, files.get('tokenizer_config.json')),
  };
  try {
    return new MendedTokenizer(main, folder, json, config, files.get('chat_template.jinja'), digest.digest('hex'));
  } catch (error) {
    if (error instanceof InputError && error.message.startsWith(folder)) throw error;
    throw new InputError(`${main}: ${error instanceof InputError ? error.message : lineOf(error)}`);
  }
}

function readObject(path: string, text = '{}'): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: expected JSON, ${lineOf(error)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError(`${path}: expected a JSON object, found another value`);
}

/** What of a `tokenizer.json` is looked at here; the library reads the rest. */
interface TokenizerFile {
  readonly added_tokens?: readonly {
    readonly id?: unknown;
    readonly content?: unknown;
    readonly single_word?: unknown;
    readonly special?: unknown;
  }[];
  readonly pre_tokenizer?: unknown;
  readonly post_processor?: unknown;
  readonly model?: { readonly type?: string; readonly vocab?: unknown; readonly byte_fallback?: boolean };
}

class MendedTokenizer implements Tokenizer {
  readonly padId: number;
  readonly eosId: number | undefined;
  readonly bosId: number | undefined;
  readonly size: number;
  readonly vocabulary: Vocabulary;
  readonly maxLength: number | undefined;
  readonly leadingSpecials: number;
  readonly #beforeWord: string;
  readonly #inner: LibraryTokenizer;
  readonly #template: Template;
  readonly #chat: ChatTemplate | undefined;
  readonly #cleanUp: boolean;

  /** @param path - Its file, for messages. */
  constructor(
    readonly path: string,
    folder: string,
    json: Record<string, unknown>,
    config: Record<string, unknown>,
    chatTemplate: string | undefined,
    readonly digest: string,
  ) {
    const file = json as TokenizerFile;
    this.size = requireVocabulary(file);
    for (const part of ['normalizer', 'pre_tokenizer', 'decoder']) requirePatterns(json[part], part);
    // The fast tokenizers of transformers go by tokenizer.json alone; the library's options for others are not for these.
    const inner = new library.Tokenizer({ added_tokens: [], ...json }, {});
    inner.normalizer = mendNormalizer(inner.normalizer);
    inner.pre_tokenizer = mendPreTokenizer(inner.pre_tokenizer, file.pre_tokenizer);
    inner.decoder = mendDecoder(inner.decoder);
    inner.post_processor = null;
    const { model } = inner;
    // Unknown characters are one token within a word, not across words; and most words come again and again.
    const encodeWords = model._call.bind(model);
    const known = new Map<string, string[]>();
    model._call = (words) =>
      words.flatMap((word) => {
        const tokens = known.get(word) ?? encodeWords([word]);
        if (known.size >= KEPT_WORDS) known.clear();
        if (word.length <= LONGEST_KEPT) known.set(word, tokens);
        return tokens;
      });
    this.#inner = inner;
    const idOf = (token: string) => inner.token_to_id(token);
    this.#template = readTemplate(file.post_processor, idOf, this.size);
    const { single } = this.#template;
    const before = single.slice(
      0,
      single.findIndex(({ kind }) => kind !== 'special'),
    );
    this.leadingSpecials = specialCount(before);
    this.#beforeWord = joinsSpaces(file.pre_tokenizer) ? ' ' : '';
    const special = specialTokens(config);
    const named = (name: string) => (special[name] === undefined ? undefined : idOf(special[name]));
    this.eosId = named('eos_token');
    this.bosId = named('bos_token');
    this.padId = named('pad_token') ?? this.eosId ?? 0;
    this.vocabulary = vocabularyOf(file, { size: this.size, special, idOf });
    const { model_max_length: most } = config;
    // Where there is no limit, transformers writes 1e30.
    this.maxLength = typeof most === 'number' && most >= 1 && most < 2 ** 31 ? Math.floor(most) : undefined;
    this.#cleanUp = config.clean_up_tokenization_spaces === true && file.model?.type !== 'BPE';
    const found = chatTemplate ?? defaultTemplate(config.chat_template);
    const source = `${folder}/${chatTemplate === undefined ? 'tokenizer_config.json' : 'chat_template.jinja'}`;
    this.#chat = found === undefined ? undefined : new ChatTemplate(source, found, special);
  }

  encode(text: string, pair?: string, { maxLength, addSpecialTokens = true }: EncodeOptions = {}): Encoding {
    const template = pair === undefined ? this.#template.single : this.#template.pair;
    const parts = addSpecialTokens ? template : template.filter(({ kind }) => kind !== 'special');
    const texts = { first: this.#ids(text), second: pair === undefined ? [] : this.#ids(pair) };
    if (maxLength === undefined) return assemble(parts, texts);
    const added = specialCount(parts);
    if (!(maxLength >= added)) {
      throw new InputError(`maxLength: expected at least the ${added} special tokens around a text, got ${maxLength}`);
    }
    const whole = added + texts.first.length + texts.second.length;
    if (whole <= maxLength) return assemble(parts, texts);
    const [first, second] = longestFirst(texts.first.length, texts.second.length, maxLength - added);
    texts.first.length = first;
    texts.second.length = second;
    return { ...assemble(parts, texts), whole };
  }

  withSpecialTokens(ids: readonly number[]): Encoding {
    return assemble(this.#template.single, { first: ids, second: [] });
  }

  encodeWords(words: readonly string[]): WordTokens {
    const tokens = words.map((word) => this.#ids(/^\S/u.test(word) ? `${this.#beforeWord}${word}` : word));
    return { ids: tokens.flat(), words: tokens.flatMap((own, word) => own.map(() => word)) };
  }

  /** Numbers of a text's own tokens. */
  #ids(text: string): number[] {
    const { ids } = this.#try(() => this.#inner.encode(text.replace(/\p{Cs}/gu, '\ufffd')));
    return ids.map((id) => {
      if (id === undefined)
        throw new InputError('expected texts of known tokens, as the tokenizer has no unknown token');
      return id;
    });
  }

  /** Does what the library may fail in, where a file is not what it looks at. */
  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new InputError(`${this.path}: expected a tokenizer that can read and write texts, ${lineOf(error)}`);
    }
  }

  decode(ids: readonly number[], { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const known = ids.filter((id) => this.#inner.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    const options = { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: this.#cleanUp };
    return this.#try(() => this.#inner.decode(known, options));
  }

  get hasChatTemplate(): boolean {
    return this.#chat !== undefined;
  }

  applyChatTemplate(
    messages: readonly ChatMessage[],
    options: { readonly addGenerationPrompt?: boolean } = {},
  ): string {
    if (!this.#chat) throw new InputError('expected a model with a chat template, found none beside its tokenizer');
    return this.#chat.render(messages, options);
  }
}

function assemble(
  parts: readonly TemplatePart[],
  texts: { readonly first: readonly number[]; readonly second: readonly number[] },
): Encoding {
  const idsOf = (part: TemplatePart) => (part.kind === 'special' ? part.ids : texts[part.kind]);
  const ids = parts.flatMap(idsOf);
  return { ids, mask: ids.map(() => 1), typeIds: parts.flatMap((part) => idsOf(part).map(() => part.type)) };
}

function specialCount(parts: readonly TemplatePart[]): number {
  return parts.reduce((sum, part) => sum + (part.kind === 'special' ? part.ids.length : 0), 0);
}

/** Whether the space before a word is part of its first token, and no space is put before a text by itself. */
function joinsSpaces(preTokenizer: unknown): boolean {
  const { type, add_prefix_space, pretokenizers } = (preTokenizer ?? {}) as Readonly<Record<string, unknown>>;
  if (type === 'Sequence') return Array.isArray(pretokenizers) && pretokenizers.some(joinsSpaces);
  return type === 'ByteLevel' && add_prefix_space === false;
}

/** What the masks of BERT and RoBERTa are called, where the model's files do not say which token is the mask. */
const MASKS = ['[MASK]', '<mask>'];

function vocabularyOf(
  { added_tokens: added = [] }: TokenizerFile,
  {
    size,
    special,
    idOf,
  }: { size: number; special: Readonly<Record<string, string>>; idOf: (token: string) => number | undefined },
): Vocabulary {
  const marked = added.flatMap(({ content, special: isSpecial }) =>
    isSpecial === true && typeof content === 'string' ? [content] : [],
  );
  const ids = [...marked, ...Object.values(special)].map(idOf).filter((id) => id !== undefined);
  const mask = special.mask_token ?? MASKS.find((name) => marked.includes(name));
  return { size, maskId: mask === undefined ? undefined : idOf(mask), special: new Set(ids) };
}

/**
 * One more than the highest number of a token.
 *
 * @throws InputError when tokens and numbers are not as they should be, or of a kind that is not done here.
 */
function requireVocabulary({ model, added_tokens: added = [] }: TokenizerFile): number {
  const vocabulary = model?.vocab;
  if (typeof vocabulary !== 'object' || vocabulary === null)
    throw new InputError('model.vocab: expected tokens, found none');
  if (model?.type === 'Unigram' && model.byte_fallback) {
    throw new InputError('model: expected Unigram without byte_fallback, which is not supported');
  }
  if (!Array.isArray(added)) throw new InputError('added_tokens: expected a list, found another value');
  const alone = added.find(({ single_word }) => single_word === true);
  if (alone) throw new InputError(`added_tokens: ${quote(String(alone.content))}: single_word is not supported`);
  const ids: unknown[] = Array.isArray(vocabulary)
    ? [vocabulary.length - 1, ...added.map(({ id }) => id)]
    : [...Object.values(vocabulary), ...added.map(({ id }) => id)];
  let highest = -1;
  for (const id of ids) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_ID) {
      throw new InputError(`expected numbers of tokens from 0 to ${MAX_ID}, found ${quote(String(id))}`);
    }
    highest = Math.max(highest, id);
  }
  return highest + 1;
}

/** `bos_token` and the like, plain or as `{ "content": ... }`. */
function specialTokens(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = Object.entries(config).flatMap(([name, value]) => {
    if (!/^[a-z]+_token$/.test(name)) return [];
    const text = typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    return typeof text === 'string' ? [[name, text]] : [];
  });
  return Object.fromEntries(entries);
}

/** The template in `tokenizer_config.json`: a text, or the one named `default` in a list. */
function defaultTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as { readonly name?: unknown; readonly template?: unknown }[];
  const chosen = named.find((each) => each?.name === 'default');
  return typeof chosen?.template === 'string' ? chosen.template : undefined;
}
