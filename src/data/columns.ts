import { PLAIN_TEXT, type Table, type TableRow } from '../formats/index.js';
import { InputError, quote } from '../registry/index.js';
import type { ChatMessage } from '../text/index.js';
import type { TextRecord } from './texts.js';

/** Which columns of a table hold what, as the user chose them: keys of a data spec. */
export interface ColumnChoice {
  readonly text?: string;
  readonly textPair?: string;
  readonly label?: string;
  readonly messages?: string;
  readonly quoting?: boolean;
}

/** Which columns of a table hold what. */
export type Columns =
  | { readonly kind: 'texts'; readonly text: string; readonly textPair?: string; readonly label?: string }
  | { readonly kind: 'messages'; readonly messages: string; readonly label?: string }
  /** Lists of words, and of as many classes. */
  | { readonly kind: 'words'; readonly text: string; readonly label?: string };

/** Names of columns that are looked for, in this order: GLUE's and those in common use. */
const PAIRS = [
  ['sentence1', 'sentence2'],
  ['question1', 'question2'],
  ['question', 'sentence'],
  ['premise', 'hypothesis'],
  ['text1', 'text2'],
  ['text_a', 'text_b'],
  ['prompt', 'response'],
  ['prompt', 'completion'],
  ['instruction', 'output'],
  ['question', 'answer'],
] as const;
const SINGLES = ['text', 'sentence', 'prompt', 'content', 'question', 'instruction'];
const LABELS = ['label', 'labels', 'class', 'category'];
const CONVERSATIONS = ['messages', 'conversation', 'conversations'];
/** Of lists of words, and of lists with the class of each. */
const WORDS = ['tokens', 'words'];
const TAGS = ['ner_tags', 'tags', 'labels', 'label', 'pos_tags', 'chunk_tags'];
/** What `data.label` says for no classes. */
export const NO_LABEL = 'none';

/**
 * Finds the columns of texts, second texts and classes: those that are given, or else those of a usual name. A second text
 * is only looked for where neither text is given. Where the first row has a list of words for a text, it is the words that
 * have classes.
 *
 * @throws InputError when a given column is not there, or none is found; with the columns that there are.
 */
export function chooseColumns(path: string, table: Table, choice: ColumnChoice = {}): Columns {
  const { columns } = table;
  const has = (name: string) => columns.includes(name);
  const there = `found ${columns.slice(0, 20).map(quote).join(', ')}${columns.length > 20 ? ', ...' : ''}`;
  const given = (key: 'text' | 'textPair' | 'label' | 'messages'): string | undefined => {
    const name = choice[key];
    if (name === undefined || (key === 'label' && name === NO_LABEL && !has(name))) return undefined;
    if (!has(name)) throw new InputError(`data.${key}: expected a column of ${path}, got ${quote(name)}; ${there}`);
    return name;
  };
  const words = wordColumns(table, choice);
  if (words) {
    for (const key of ['text', 'label'] as const) given(key);
    return words;
  }
  const found = choice.label === undefined ? LABELS.find(has) : given('label');
  const label = found === undefined ? {} : { label: found };
  const { text, textPair } = choice;
  const conversation = given('messages') ?? ((text ?? textPair) ? undefined : CONVERSATIONS.find(has));
  if (conversation !== undefined) {
    if (text ?? textPair) throw new InputError('data.messages: expected neither data.text nor data.textPair beside it');
    return { kind: 'messages', messages: conversation, ...label };
  }
  if (text !== undefined)
    return { kind: 'texts', text: text && (given('text') ?? text), ...pairOf(given('textPair')), ...label };
  if (textPair !== undefined) throw new InputError('data.textPair: expected data.text beside it, got none');
  const pair = PAIRS.find((names) => names.every(has));
  if (pair) return { kind: 'texts', text: pair[0], textPair: pair[1], ...label };
  const single = SINGLES.find(has);
  if (single === undefined) throw new InputError(`${path}: expected data.text, the column of the texts; ${there}`);
  return { kind: 'texts', text: single, ...label };
}

/** The columns of words and their classes, where texts come as lists: those that are given, or else those of a usual name. */
function wordColumns({ columns, rows: [first] }: Table, choice: ColumnChoice): Columns | undefined {
  const isList = (name: string) => columns.includes(name) && Array.isArray(first?.get(name));
  if (choice.textPair !== undefined || choice.messages !== undefined) return undefined;
  const text = choice.text === undefined ? WORDS.find(isList) : isList(choice.text) ? choice.text : undefined;
  if (text === undefined) return undefined;
  if (choice.label === NO_LABEL && !columns.includes(NO_LABEL)) return { kind: 'words', text };
  const label = choice.label ?? TAGS.find(isList);
  // A class of each text, and not of each word, is not for words that no one asked for.
  if (choice.text === undefined && label !== undefined && !isList(label)) return undefined;
  return { kind: 'words', text, ...(label !== undefined && { label }) };
}

function pairOf(textPair: string | undefined): { textPair?: string } {
  return textPair === undefined ? {} : { textPair };
}

/** What columns are used, for people. */
export function describeColumns(columns: Columns): string {
  const classes = columns.label === undefined ? 'no classes' : `classes from ${quote(columns.label)}`;
  if (columns.kind === 'messages') return `Conversations from ${quote(columns.messages)}, ${classes}.`;
  if (columns.kind === 'words') {
    const ofWords = columns.label === undefined ? 'no classes' : `the class of each from ${quote(columns.label)}`;
    return `Texts in words from ${quote(columns.text)}, ${ofWords}.`;
  }
  const { text, textPair } = columns;
  return `Texts from ${quote(text)}${textPair === undefined ? '' : ` and ${quote(textPair)}`}, ${classes}.`;
}

/**
 * The text of a row.
 *
 * @throws InputError when a column holds something else; with file and line.
 */
export function recordOf(path: string, row: TableRow, columns: Columns): TextRecord {
  if (columns.kind === 'messages') {
    const messages = readMessages(`${path}:${row.line}`, columns.messages, row.get(columns.messages));
    return { text: messages.map(({ content }) => content).join('\n'), messages };
  }
  if (columns.kind === 'words') {
    const words = readWords(`${path}:${row.line}`, columns.text, row.get(columns.text));
    return { text: words.join(' '), words };
  }
  const read = (column: string): string => {
    const value = row.get(column);
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    throw new InputError(`${path}:${row.line}: expected text in the column ${quote(column)}, found ${kindOf(value)}`);
  };
  const { text, textPair } = columns;
  return textPair === undefined ? { text: read(text) } : { text: read(text), pair: read(textPair) };
}

/**
 * The class of a row, as the file has it.
 *
 * @throws InputError when there is none.
 */
export function labelOf(path: string, row: TableRow, column: string): string {
  const value = row.get(column);
  const text = typeof value === 'object' || value === undefined ? '' : String(value).trim();
  if (text !== '') return text;
  throw new InputError(`${path}:${row.line}: expected a class in the column ${quote(column)}, found ${kindOf(value)}`);
}

/**
 * The class of each word of a row, as the file has it.
 *
 * @param words - Number of words.
 * @throws InputError when there are no classes, or not as many.
 */
export function wordLabelsOf(path: string, row: TableRow, column: string, words: number): string[] {
  const value = row.get(column);
  const place = `${path}:${row.line}`;
  if (!Array.isArray(value)) {
    throw new InputError(
      `${place}: expected a list with the class of each word in the column ${quote(column)}, found ${kindOf(value)}`,
    );
  }
  if (value.length !== words) {
    throw new InputError(
      `${place}: expected a class for each of the ${words} words in the column ${quote(column)}, found ${value.length}`,
    );
  }
  return (value as unknown[]).map((each, at) => {
    const text = typeof each === 'string' || typeof each === 'number' || typeof each === 'bigint' ? String(each) : '';
    if (text.trim() !== '') return text.trim();
    throw new InputError(
      `${place}: expected a class for word ${at + 1} in the column ${quote(column)}, found ${kindOf(each)}`,
    );
  });
}

function readWords(place: string, column: string, value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0) {
    const found = Array.isArray(value) ? 'an empty list' : kindOf(value);
    throw new InputError(`${place}: expected a list of words in the column ${quote(column)}, found ${found}`);
  }
  return (value as unknown[]).map((word, at) => {
    if (typeof word === 'string') return word;
    throw new InputError(`${place}: expected words in the column ${quote(column)}, found ${kindOf(word)} at ${at + 1}`);
  });
}

/** Whether a table is a plain text. */
export function isPlain({ columns }: Table, name: string): boolean {
  return columns.length === 1 && columns[0] === PLAIN_TEXT && /\.txt(\.gz)?$/i.test(name);
}

function readMessages(where: string, column: string, value: unknown): ChatMessage[] {
  const messages = Array.isArray(value) ? (value as unknown[]) : [];
  const read = messages.flatMap((message) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    return typeof role === 'string' && typeof content === 'string' ? [{ role, content }] : [];
  });
  if (read.length > 0 && read.length === messages.length) return read;
  throw new InputError(
    `${where}: expected a list of role and content in the column ${quote(column)}, found another value`,
  );
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'nothing';
  return Array.isArray(value) ? 'a list' : typeof value === 'string' ? quote(value) : `a ${typeof value}`;
}
