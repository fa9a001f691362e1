import { join } from 'node:path';
import { readJsonFile } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { type ChatMessage, type Encoding, loadTokenizer, type Tokenizer } from '../text/index.js';
import { createDataset, type Labelled, type LabelledDataset } from './dataset.js';
import type { Chosen, ChosenParts, DataParts } from './parts.js';
import type { DataSpec } from './spec.js';
import { TextExamples } from './text-examples.js';
import type { LabelledTexts, TextRecord } from './texts.js';

/** Tokens of a piece where no length is given: what learns at this size of model in reasonable time. */
const PIECE_LENGTH = 256;

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
}

/**
 * Encodes the chosen texts.
 *
 * @throws InputError when there is no tokenizer, a text has no token, or more than the model can take and it is not said
 *   that it is to be cut.
 */
export async function presentTexts(parts: ChosenParts<LabelledTexts>, spec: DataSpec): Promise<DataParts> {
  const isLabelled = parts.train.selection.classes.length > 0;
  const hasMessages = parts.train.selection.size + parts.test.selection.size > 0 && holdsMessages(parts);
  const encoding = await textEncoding(spec, { isLabelled, hasMessages });
  const notes: string[] = [];
  const present = (chosen: Chosen<LabelledTexts>) => presentPart(chosen, encoding, notes);
  const [train, validation, test] = [present(parts.train), present(parts.validation), present(parts.test)];
  return { train, validation, test, notes };
}

function holdsMessages({ train, test }: ChosenParts<LabelledTexts>): boolean {
  const { selection, part } = train.selection.size > 0 ? train : test;
  return part.record(selection.indices[0]).messages !== undefined;
}

/**
 * How a spec wants texts encoded.
 *
 * @throws InputError when there is no tokenizer, or a length beyond the model's.
 */
export async function textEncoding(
  { tokenizer: folder, maxLength, pieces, chat = false }: DataSpec,
  { isLabelled, hasMessages }: { isLabelled: boolean; hasMessages: boolean },
): Promise<TextEncoding> {
  if (folder === undefined) {
    throw new InputError('data.tokenizer: expected a model directory whose tokenizer reads the texts, got none');
  }
  const tokenizer = await loadTokenizer(folder);
  if ((chat || hasMessages) && !tokenizer.hasChatTemplate) {
    throw new InputError(`${folder}: expected a chat template (chat_template.jinja) for conversations, found none`);
  }
  const context = await contextOf(folder, tokenizer);
  if (maxLength !== undefined && context !== undefined && maxLength > context) {
    throw new InputError(
      `data.maxLength: expected at most ${context} tokens, as the model reads no more, got ${maxLength}`,
    );
  }
  const inPieces = pieces ?? !isLabelled;
  const usual = inPieces ? Math.min(context ?? PIECE_LENGTH, PIECE_LENGTH) : context;
  const tooLong = inPieces ? 'pieces' : maxLength === undefined ? 'error' : 'cut';
  return { tokenizer, limit: maxLength ?? usual, tooLong, chat: chat || hasMessages };
}

/** Most tokens that a model reads, as its files say. */
async function contextOf(folder: string, tokenizer: Tokenizer): Promise<number | undefined> {
  const config = (await readJsonFile(join(folder, 'config.json')).catch(() => ({}))) as Record<string, unknown>;
  const positions = [config.max_position_embeddings, config.n_positions].find((value) => typeof value === 'number');
  // RoBERTa counts positions from behind its padding's number, 1.
  const unused = /roberta|camembert/.test(String(config.model_type)) ? 2 : 0;
  const known = [tokenizer.maxLength, positions === undefined ? undefined : Number(positions) - unused];
  const found = known.filter((value) => value !== undefined);
  return found.length === 0 ? undefined : Math.min(...found);
}

function presentPart({ selection, part }: Chosen<LabelledTexts>, how: TextEncoding, notes: string[]): LabelledDataset {
  const { limit, tokenizer } = how;
  const encodings: EncodedText[] = [];
  /** Of each example, the text that it comes from, and its number there. */
  const origins: { index: number; piece: number; pieces: number }[] = [];
  const labels: number[] = [];
  let cut = 0;
  for (const [position, index] of selection.indices.entries()) {
    const found = encodeText(part.record(index), how, () => part.nameOf(index));
    if (found.length > 1 || found[0].whole > found[0].ids.length) cut++;
    for (const [piece, each] of found.entries()) {
      encodings.push(each);
      origins.push({ index, piece, pieces: found.length });
      labels.push(selection.labels[position]);
    }
  }
  if (cut > 0) {
    const share = ((100 * cut) / selection.size).toFixed(1);
    const what = how.tooLong === 'pieces' ? `cut into pieces of at most ${limit} tokens` : `cut at ${limit} tokens`;
    notes.push(`${selection.name}: ${cut} of ${selection.size} texts (${share} %) are ${what}.`);
  }
  const hasPrompts = encodings.some(({ prompt }) => prompt > 0);
  const examples = new TextExamples(encodings, {
    padId: tokenizer.padId,
    limit,
    promptLengths: hasPrompts ? Uint32Array.from(encodings, ({ prompt }) => prompt) : undefined,
  });
  const { name, classes }: { name: string } & Labelled = selection;
  const dataset = createDataset(examples, { name, labels: Int32Array.from(labels), classes });
  return {
    ...dataset,
    nameOf: (at) => {
      const { index, piece, pieces } = origins[at];
      return `${part.nameOf(index)}${pieces > 1 ? ` piece ${piece + 1}` : ''}`;
    },
    textsOf: (at) => {
      const { text, pair } = part.record(origins[at].index);
      return pair === undefined ? [text] : [text, pair];
    },
  };
}

/**
 * A text in tokens: one example, or several where it is cut into pieces.
 *
 * @throws InputError when it has no token, or too many; with its place.
 */
export function encodeText(record: TextRecord, how: TextEncoding, place: () => string): EncodedText[] {
  const { tokenizer, limit, tooLong } = how;
  const { encoding, prompt } = how.chat
    ? encodeChat(record, tokenizer, place)
    : { encoding: encodePlain(record, how), prompt: 0 };
  const whole = encoding.ids.length;
  if (whole === 0) throw new InputError(`${place()}: expected a text of at least one token, found none`);
  if (limit === undefined || whole <= limit) return [{ ...encoding, whole, prompt }];
  if (tooLong === 'error') {
    throw new InputError(
      `${place()}: expected at most the ${limit} tokens that the model reads, found ${whole}; data.maxLength cuts longer texts`,
    );
  }
  if (tooLong === 'pieces') return inPieces(record, how, { ...encoding, whole, prompt }, limit);
  if (how.chat) return [{ ...take(encoding, 0, limit), whole, prompt: Math.min(prompt, limit) }];
  return [{ ...tokenizer.encode(record.text, record.pair, { maxLength: limit }), whole, prompt: 0 }];
}

function encodePlain({ text, pair }: TextRecord, { tokenizer }: TextEncoding): Encoding {
  return tokenizer.encode(text, pair);
}

/** A conversation by the chat template; what comes before the last answer is the prompt. */
function encodeChat(
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

/** Pieces of a long text, each as a text of its own: of a plain one with special tokens around it. */
function inPieces(record: TextRecord, how: TextEncoding, whole: EncodedText, limit: number): EncodedText[] {
  const { tokenizer } = how;
  const added = how.chat ? 0 : tokenizer.encode('').ids.length;
  const body = how.chat
    ? whole
    : tokenizer.encode([record.text, record.pair].join(' ').trim(), undefined, { addSpecialTokens: false });
  const step = limit - added;
  if (step < 1)
    throw new InputError(`data.maxLength: expected more than the ${added} special tokens around a text, got ${limit}`);
  const pieces: EncodedText[] = [];
  for (let start = 0; start < body.ids.length; start += step) {
    const part = take(body, start, start + step);
    const piece = how.chat ? part : tokenizer.withSpecialTokens(part.ids);
    const prompt = Math.max(0, Math.min(part.ids.length, whole.prompt - start));
    pieces.push({ ...piece, whole: piece.ids.length, prompt });
  }
  return pieces;
}

function take({ ids, mask, typeIds }: Encoding, start: number, end: number): Encoding {
  return { ids: ids.slice(start, end), mask: mask.slice(start, end), typeIds: typeIds.slice(start, end) };
}
