import { InputError } from '../registry/index.js';
import type { ChatMessage, Encoding, Tokenizer } from '../text/index.js';
import { NO_CLASS } from './examples.js';
import type { TextRecord } from './texts.js';

/** How texts become tokens. */
export interface TextEncoding {
  /** Reads the texts. */
  readonly tokenizer: Tokenizer;
  /** Most tokens that a text may have; undefined where none is known. */
  readonly limit: number | undefined;
  /** Whether longer texts are cut off or into pieces; else they are an error. */
  readonly tooLong: 'error' | 'cut' | 'pieces';
  /** Whether the chat template is used. */
  readonly chat: boolean;
}

/** A text in tokens, and how many of these were given. */
export interface EncodedText extends Encoding {
  /** Tokens that it would have had; `ids` has fewer where it was cut. */
  readonly whole: number;
  /** Tokens that are its prompt. */
  readonly prompt: number;
  /** The class of each token, where words have classes. */
  readonly classes?: readonly number[];
}

/**
 * A text in tokens: one example, or several where it is cut into pieces. It is encoded once, however long it is.
 *
 * @param wordLabels - The class of each word: the first token of a word has it, and no other, as in transformers' examples.
 * @throws InputError when it has no token, or too many; with its place.
 */
export function encodeText(
  record: TextRecord,
  how: TextEncoding,
  place: () => string,
  wordLabels?: readonly number[],
): EncodedText[] {
  if (how.chat) return encodeChat(record, how, place);
  if (record.pair !== undefined) return encodePair(record.text, record.pair, how, place);
  const { tokenizer, limit, tooLong } = how;
  const body = bodyOf(record, tokenizer, wordLabels);
  const added = tokenizer.withSpecialTokens([]).ids.length;
  const whole = added + body.ids.length;
  if (isWithin(whole, how, place)) return [around(tokenizer, body, whole)];
  const room = Number(limit) - added;
  if (tooLong === 'cut') {
    if (room >= 0) return [around(tokenizer, part(body, 0, room), whole)];
    throw new InputError(`maxLength: expected at least the ${added} special tokens around a text, got ${limit}`);
  }
  const trimmed = record.text.trim();
  return inPieces(record.words || trimmed === record.text ? body : bodyOf({ text: trimmed }, tokenizer), how);
}

/** Whether a text is as long as it may be, or shorter; where it is longer, whether that is no error is known from `how`. */
function isWithin(whole: number, { limit, tooLong }: TextEncoding, place: () => string): boolean {
  if (whole === 0) throw new InputError(`${place()}: expected a text of at least one token, found none`);
  if (limit === undefined || whole <= limit) return true;
  if (tooLong !== 'error') return false;
  throw new InputError(
    `${place()}: expected at most the ${limit} tokens that the model reads, found ${whole}; data.maxLength cuts longer texts`,
  );
}

/** The tokens of a single text, without special ones. */
interface Body {
  readonly ids: readonly number[];
  /** The class of each, where words have classes. */
  readonly classes?: readonly number[];
}

function bodyOf({ text, words }: TextRecord, tokenizer: Tokenizer, wordLabels?: readonly number[]): Body {
  if (!words) return { ids: tokenizer.encode(text, undefined, { addSpecialTokens: false }).ids };
  const { ids, words: of } = tokenizer.encodeWords(words);
  if (!wordLabels) return { ids };
  return { ids, classes: of.map((word, at) => (word === of[at - 1] ? NO_CLASS : wordLabels[word])) };
}

function part({ ids, classes }: Body, start: number, end: number): Body {
  return { ids: ids.slice(start, end), ...(classes && { classes: classes.slice(start, end) }) };
}

/** Special tokens around those of a text; they have no class. */
function around(tokenizer: Tokenizer, { ids, classes }: Body, whole?: number): EncodedText {
  const encoding = tokenizer.withSpecialTokens(ids);
  const found = { ...encoding, whole: whole ?? encoding.ids.length, prompt: 0 };
  if (!classes) return found;
  const all = encoding.ids.map(() => NO_CLASS);
  classes.forEach((label, at) => {
    all[tokenizer.leadingSpecials + at] = label;
  });
  return { ...found, classes: all };
}

function encodePair(text: string, pair: string, how: TextEncoding, place: () => string): EncodedText[] {
  const { tokenizer, limit, tooLong } = how;
  const encoding = tokenizer.encode(text, pair, tooLong === 'cut' ? { maxLength: limit } : {});
  const whole = encoding.whole ?? encoding.ids.length;
  if (isWithin(whole, how, place) || tooLong === 'cut') return [{ ...encoding, whole, prompt: 0 }];
  // In pieces the two are one text, whose tokens may be others where they meet.
  return inPieces(bodyOf({ text: [text, pair].join(' ').trim() }, tokenizer), how);
}

/** Pieces of a long text, each as a text of its own, with special tokens around it. */
function inPieces(body: Body, { tokenizer, limit }: TextEncoding): EncodedText[] {
  const added = tokenizer.withSpecialTokens([]).ids.length;
  const step = Number(limit) - added;
  if (step < 1) {
    throw new InputError(`data.maxLength: expected more than the ${added} special tokens around a text, got ${limit}`);
  }
  const pieces: EncodedText[] = [];
  for (let start = 0; start < body.ids.length; start += step) {
    pieces.push(around(tokenizer, part(body, start, start + step)));
  }
  return pieces;
}

/** A conversation by the chat template; what comes before the last answer is the prompt. */
function encodeChat(record: TextRecord, how: TextEncoding, place: () => string): EncodedText[] {
  const { limit, tooLong } = how;
  const { encoding, prompt } = conversation(record, how.tokenizer, place);
  const whole = encoding.ids.length;
  if (limit === undefined || isWithin(whole, how, place)) return [{ ...encoding, whole, prompt }];
  if (tooLong === 'cut') return [{ ...take(encoding, 0, limit), whole, prompt: Math.min(prompt, limit) }];
  const pieces: EncodedText[] = [];
  for (let start = 0; start < whole; start += limit) {
    const piece = take(encoding, start, start + limit);
    const given = Math.max(0, Math.min(piece.ids.length, prompt - start));
    pieces.push({ ...piece, whole: piece.ids.length, prompt: given });
  }
  return pieces;
}

function conversation(
  record: TextRecord,
  tokenizer: Tokenizer,
  place: () => string,
): { encoding: Encoding; prompt: number } {
  const messages = record.messages ?? conversationOf(record);
  const encode = (text: string) => tokenizer.encode(text, undefined, { addSpecialTokens: false });
  const isAnswered = messages.at(-1)?.role === 'assistant';
  try {
    const encoding = encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: !isAnswered }));
    if (!isAnswered) return { encoding, prompt: 0 };
    const { ids } = encode(tokenizer.applyChatTemplate(messages.slice(0, -1), { addGenerationPrompt: true }));
    // A template may end a prompt otherwise than it goes on behind it.
    const differs = ids.findIndex((id, at) => id !== encoding.ids[at]);
    return { encoding, prompt: differs < 0 ? Math.min(ids.length, encoding.ids.length) : differs };
  } catch (error) {
    throw new InputError(`${place()}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function conversationOf({ text, pair }: TextRecord): ChatMessage[] {
  const user = { role: 'user', content: text };
  return pair === undefined ? [user] : [user, { role: 'assistant', content: pair }];
}

function take({ ids, mask, typeIds }: Encoding, start: number, end: number): Encoding {
  return { ids: ids.slice(start, end), mask: mask.slice(start, end), typeIds: typeIds.slice(start, end) };
}
