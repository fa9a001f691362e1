import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FolderListing, listFolder, readTable, TABLE_NAME, type Table, tableFormat } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import {
  type ColumnChoice,
  type Columns,
  chooseColumns,
  describeColumns,
  isPlain,
  labelOf,
  recordOf,
  wordLabelsOf,
} from '../columns.js';
import type { LabelledTexts, TextCollection, TextRecord } from '../texts.js';

/** What splits are called: `train.tsv`, `dev.jsonl.gz`, `test-00000-of-00002.parquet`. */
const SPLITS = {
  train: ['train'],
  validation: ['dev', 'val', 'valid', 'validation'],
  test: ['test'],
} as const;
type Split = keyof typeof SPLITS;
/** Most classes: enough for what people tell apart, too few for a column of numbers or texts. */
const MAX_CLASSES = 1000;

/** Whether a folder is a set of texts: a file `train`, or one file alone that is a table. */
export function isTextFolder({ files }: FolderListing): boolean {
  const tables = files.filter((name) => TABLE_NAME.test(name));
  return tables.some((name) => splitOf(name) === 'train') || (tables.length === 1 && tableFormat(tables[0]) !== 'txt');
}

function splitOf(name: string): Split | undefined {
  const stem = name
    .replace(TABLE_NAME, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .toLowerCase();
  const found = Object.entries(SPLITS).find(([, names]) => (names as readonly string[]).includes(stem));
  return found?.[0] as Split | undefined;
}

/** Which files of a folder are which split. */
type Files = Partial<Record<Split, string[]>>;

/**
 * Opens texts: one file, or a folder of `train`, `dev` (or `val`, `valid`, `validation`) and `test` files, each TSV, CSV, JSONL,
 * Parquet or plain text; where there is no test file, the validation file takes its place. Of a plain text each paragraph is
 * a text, or each line where no line is blank.
 *
 * Classes are the values of the label's column in the training file: in the order of their numbers where all are numbers,
 * else of their UTF-16 code units.
 *
 * @param known - Names of the classes whose values are 0, 1, ... in the files.
 * @throws InputError when a file is malformed, a column is not there, or a class of other texts is unknown in training.
 */
export async function openTexts(
  path: string,
  choice: ColumnChoice = {},
  known?: readonly string[],
): Promise<TextCollection> {
  const notes: string[] = [];
  const files = await filesAt(path, notes);
  const { train: trained = [] } = files;
  const train = await openPart(trained, choice);
  const classes = train.classes ?? [];
  const open = async (names: readonly string[] | undefined) =>
    names && openPart(names, { ...choice, ...chosen(train.columns) });
  const parts = { validation: await open(files.validation), test: await open(files.test) };
  notes.push(train.columns === undefined ? train.note : describeColumns(train.columns));
  const labelled = (part: OpenPart): LabelledTexts => withLabels(part, classes, train.wordClasses);
  const names = known && classes.every((value, label) => value === String(label)) ? known : classes;
  return {
    kind: 'texts',
    classes: classes.map((value, label) => names[label] ?? value),
    train: labelled(train),
    validation: parts.validation && labelled(parts.validation),
    test: parts.test && labelled(parts.test),
    notes,
  };
}

/**
 * The files that {@link openTexts} reads.
 *
 * @throws InputError as it does of folders.
 */
export async function textFiles(path: string): Promise<string[]> {
  const { train = [], validation = [], test = [] } = await filesAt(path, []);
  return [...train, ...validation, ...test];
}

async function filesAt(path: string, notes: string[]): Promise<Files> {
  return (await stat(path).catch(() => undefined))?.isFile() ? { train: [path] } : listFiles(path, notes);
}

async function listFiles(folder: string, notes: string[]): Promise<Files> {
  const { files, outside } = await listFolder(folder);
  if (outside.length > 0) {
    throw new InputError(`${join(folder, outside[0])}: expected a file of texts, found a link out of the folder`);
  }
  const tables = files.filter((name) => TABLE_NAME.test(name));
  const found: Files = {};
  for (const name of tables) {
    const split = splitOf(name) ?? (tables.length === 1 ? 'train' : undefined);
    if (split === undefined)
      notes.push(`${join(folder, name)} is left out: it is not called as a split (train, dev, test).`);
    else found[split] = [...(found[split] ?? []), join(folder, name)];
  }
  for (const [split, paths] of Object.entries(found)) {
    const isSharded = paths.every((name) => /-\d{5}-of-\d{5}\./.test(name));
    if (paths.length > 1 && !isSharded) {
      throw new InputError(
        `${folder}: expected one file of ${split} texts, found ${paths.map((each) => basename(each)).join(', ')}`,
      );
    }
  }
  if (!found.train)
    throw new InputError(`${folder}: expected a file train.tsv, .csv, .jsonl, .parquet or .txt, found none`);
  if (found.validation && !found.test) {
    notes.push(`${found.validation.join(', ')} serves as test texts, since there is no test file.`);
    return { train: found.train, test: found.validation };
  }
  return found;
}

/** One part's texts, with their classes as the files have them. */
interface OpenPart {
  readonly records: readonly TextRecord[];
  readonly places: readonly string[];
  readonly labels: readonly string[] | undefined;
  /** Classes that occur, in order. */
  readonly classes: readonly string[] | undefined;
  /** The same of words. */
  readonly wordLabels: readonly (readonly string[])[] | undefined;
  readonly wordClasses: readonly string[] | undefined;
  /** None for plain text. */
  readonly columns: Columns | undefined;
  readonly note: string;
}

async function openPart(paths: readonly string[], choice: ColumnChoice): Promise<OpenPart> {
  const records: TextRecord[] = [];
  const places: string[] = [];
  const labels: string[] = [];
  const wordLabels: string[][] = [];
  let columns: Columns | undefined;
  let note = '';
  for (const path of paths) {
    const table = await readTable(path, { quoting: choice.quoting });
    if (isPlain(table, path)) {
      refuseColumns(path, choice);
      const { texts, unit } = plainTexts(path, table);
      note = `Each ${unit} is a text.`;
      for (const { text, line } of texts) {
        records.push({ text });
        places.push(`${path}:${line}`);
      }
      continue;
    }
    columns ??= chooseColumns(path, table, choice);
    // Files of one part have the same columns.
    const own = chooseColumns(path, table, { ...choice, ...chosen(columns) });
    for (const row of table.rows) {
      const record = recordOf(path, row, own);
      records.push(record);
      places.push(`${path}:${row.line}`);
      if (own.label === undefined) continue;
      if (record.words) wordLabels.push(wordLabelsOf(path, row, own.label, record.words.length));
      else labels.push(labelOf(path, row, own.label));
    }
  }
  if (records.length === 0) throw new InputError(`${paths.join(', ')}: expected texts, found none`);
  const { label: column } = columns ?? {};
  const ofWords = column !== undefined && columns?.kind === 'words';
  const ofTexts = column !== undefined && !ofWords;
  const classesOf = (all: ReadonlySet<string>) => inOrder(paths.join(', '), column ?? '', all);
  return {
    records,
    places,
    columns,
    note,
    labels: ofTexts ? labels : undefined,
    classes: ofTexts ? classesOf(new Set(labels)) : undefined,
    wordLabels: ofWords ? wordLabels : undefined,
    wordClasses: ofWords ? classesOf(new Set(wordLabels.flat())) : undefined,
  };
}

/** The columns that were found, as if they had been given. */
function chosen(columns: Columns | undefined): ColumnChoice {
  if (columns === undefined) return {};
  const { kind: _, ...names } = columns;
  return { ...names, label: columns.label ?? 'none' };
}

function refuseColumns(path: string, choice: ColumnChoice): void {
  for (const key of ['text', 'textPair', 'label', 'messages'] as const) {
    const value = choice[key];
    if (value === undefined || (key === 'label' && value === 'none')) continue;
    throw new InputError(`data.${key}: expected none, as ${path} is plain text without columns, got ${quote(value)}`);
  }
}

function plainTexts(path: string, table: Table): { texts: { text: string; line: number }[]; unit: string } {
  const lines = table.rows.map((row) => ({ line: row.line, text: String(row.get('text')) }));
  const isBlank = ({ text }: { text: string }) => text.trim() === '';
  const hasBlank = lines.some(isBlank);
  const texts: { text: string; line: number }[] = [];
  let fresh = true;
  for (const each of lines) {
    if (isBlank(each)) fresh = true;
    else if (fresh || !hasBlank) {
      texts.push({ ...each });
      fresh = false;
    } else texts[texts.length - 1].text += `\n${each.text}`;
  }
  if (texts.length === 0) throw new InputError(`${path}: expected text, found blank lines`);
  return { texts, unit: hasBlank ? 'paragraph' : 'line' };
}

function inOrder(path: string, column: string, values: ReadonlySet<string>): string[] {
  if (values.size > MAX_CLASSES) {
    throw new InputError(
      `${path}: expected at most ${MAX_CLASSES} classes in the column ${quote(column)}, found ${values.size}`,
    );
  }
  const isNumber = (value: string) => /^-?\d+(\.\d+)?$/.test(value);
  const all = [...values].sort();
  return all.every(isNumber) ? all.sort((a, b) => Number(a) - Number(b)) : all;
}

/** The position of a class among those of the training texts. */
function numbering(classes: readonly string[]): (value: string, place: string) => number {
  const numbers = new Map(classes.map((value, label) => [value, label]));
  return (value, place) => {
    const label = numbers.get(value);
    if (label !== undefined) return label;
    const known = classes.slice(0, 10).map(quote).join(', ');
    throw new InputError(`${place}: expected a class of the training texts (${known}), found ${quote(value)}`);
  };
}

function withLabels(
  { records, places, labels, wordLabels }: OpenPart,
  classes: readonly string[],
  wordClasses: readonly string[] | undefined,
): LabelledTexts {
  const numberOf = numbering(classes);
  const found = Int32Array.from(records, (_, index) => (labels ? numberOf(labels[index], places[index]) : 0));
  const texts = { labels: found, nameOf: (at: number) => places[at], record: (at: number) => records[at] };
  if (!wordLabels || !wordClasses) return texts;
  const wordNumber = numbering(wordClasses);
  const all = wordLabels.map((own, index) => own.map((value) => wordNumber(value, places[index])));
  return { ...texts, wordClasses, wordLabels: (index) => all[index] };
}
