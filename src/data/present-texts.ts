import { join } from 'node:path';
import { readJsonFile } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { loadTokenizer, type Tokenizer } from '../text/index.js';
import { createDataset, type Labelled, type LabelledDataset } from './dataset.js';
import { type EncodedText, encodeText, type TextEncoding } from './encode-text.js';
import type { Chosen, ChosenParts, DataParts } from './parts.js';
import type { DataSpec } from './spec.js';
import { TextExamples } from './text-examples.js';
import { textWriter } from './text-writer.js';
import type { LabelledTexts, TextRecord } from './texts.js';

/** Tokens of a piece where no length is given: what learns at this size of model in reasonable time. */
const PIECE_LENGTH = 256;

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
  if (encoding.chat && parts.train.part.wordClasses) {
    throw new InputError(
      'data.chat: expected none, as words have a class each, which a conversation has not, got true',
    );
  }
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
    const found = encodeText(part.record(index), how, () => part.nameOf(index), part.wordLabels?.(index));
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
    vocabulary: tokenizer.vocabulary,
    tokenClasses: part.wordClasses && {
      names: part.wordClasses,
      of: encodings.map(({ classes = [] }) => classes),
    },
    writer: how.tooLong === 'pieces' || how.chat || part.wordClasses ? undefined : textWriter(how),
    apart: () =>
      pairsApart(
        origins.map(({ index }) => part.record(index)),
        how,
      ),
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

/** The first and the second texts of pairs; undefined where one is missing or empty, or examples are not one pair each. */
function pairsApart(
  records: readonly TextRecord[],
  how: TextEncoding,
): readonly [TextExamples, TextExamples] | undefined {
  const isPair = ({ text, pair = '' }: TextRecord) => text.trim() !== '' && pair.trim() !== '';
  if (how.tooLong === 'pieces' || how.chat || !records.every(isPair)) return;
  const { limit, tokenizer } = how;
  const alone = (text: string) => encodeText({ text }, { ...how, tooLong: 'cut' }, () => text)[0];
  const side = (textOf: (record: TextRecord) => string) =>
    new TextExamples(
      records.map((record) => alone(textOf(record))),
      { padId: tokenizer.padId, limit, vocabulary: tokenizer.vocabulary },
    );
  return [side(({ text }) => text), side(({ pair = '' }) => pair)];
}
