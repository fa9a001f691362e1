import { join } from 'node:path';
import { type FolderListing, listFolder, readTable, type TableRow } from '../../formats/index.js';
import { RandomStream } from '../../linalg/index.js';
import { InputError, quote } from '../../registry/index.js';
import type { ColumnChoice } from '../columns.js';
import type { LabelledTexts, TextCollection } from '../texts.js';

/** Files of the set, each also with .gz. */
const FILES = ['benign_instructions.jsonl', 'jailbreak_in_the_wild.jsonl'] as const;
const CLASSES = ['benign', 'jailbreak'];
/** Decides which benign prompts are taken. */
const SEED = 1;

const fileOf = (files: readonly string[], name: string) => files.find((file) => file === name || file === `${name}.gz`);

/** Whether a folder holds jailbreak prompts and benign ones. */
export function isPromptFolder({ files }: FolderListing): boolean {
  return FILES.every((name) => fileOf(files, name) !== undefined);
}

/**
 * Opens jailbreak prompts of Shen et al. (CCS 2024) and as many benign ones, with the split of their column `split`: repeated
 * jailbreak prompts (`duplicate_of`) are left out, and benign ones drawn by a fixed seed, so that both classes are equally
 * frequent in both parts. Jailbreak prompts are much longer: compare with what the length alone tells.
 *
 * @throws InputError when a file is malformed, or columns are chosen: they are known.
 */
export async function openPrompts(folder: string, choice: ColumnChoice = {}): Promise<TextCollection> {
  for (const key of ['text', 'textPair', 'label', 'messages', 'quoting'] as const) {
    if (choice[key] === undefined) continue;
    throw new InputError(
      `data.${key}: expected none, as the columns of prompts are known, got ${quote(String(choice[key]))}`,
    );
  }
  const [benign, jailbreak] = await Promise.all(FILES.map((name) => readPrompts(folder, name)));
  const once = jailbreak.filter(({ row }) => (row.get('duplicate_of') ?? null) === null);
  const part = (split: 'train' | 'test'): LabelledTexts => {
    const bad = once.filter((each) => each.split === split);
    const good = benign.filter((each) => each.split === split);
    if (good.length < bad.length || bad.length === 0) {
      throw new InputError(
        `${folder}: expected ${split} prompts of both kinds, benign ones not fewer, found ${good.length} and ${bad.length}`,
      );
    }
    const order = new RandomStream(SEED, `benign ${split}`).permutation(good.length).subarray(0, bad.length).sort();
    const all = [...Array.from(order, (position) => good[position]), ...bad];
    return {
      labels: Int32Array.from(all, (_, index) => Number(index >= bad.length)),
      nameOf: (index) => all[index].place,
      record: (index) => ({ text: all[index].text }),
    };
  };
  const [train, test] = [part('train'), part('test')];
  const notes = [
    `${jailbreak.length - once.length} jailbreak prompts are left out: they repeat others.`,
    `${train.labels.length / 2 + test.labels.length / 2} of ${benign.length} benign prompts are taken, as many as there are others.`,
    'Jailbreak prompts are longer: compare with what the length alone tells.',
  ];
  return { kind: 'texts', classes: CLASSES, train, test, notes };
}

interface Prompt {
  readonly row: TableRow;
  readonly place: string;
  readonly text: string;
  readonly split: string;
}

/**
 * The files that {@link openPrompts} reads.
 *
 * @throws InputError when one is missing.
 */
export async function promptFiles(folder: string): Promise<string[]> {
  return Promise.all(FILES.map((name) => locate(folder, name)));
}

async function locate(folder: string, name: string): Promise<string> {
  const file = fileOf((await listFolder(folder)).files, name);
  if (file === undefined) throw new InputError(`${join(folder, name)}: expected prompts, found nothing`);
  return join(folder, file);
}

async function readPrompts(folder: string, name: string): Promise<Prompt[]> {
  const path = await locate(folder, name);
  const { rows } = await readTable(path);
  return rows.map((row) => {
    const place = `${path}:${row.line}`;
    const [text, split] = [row.get('prompt'), row.get('split')];
    if (typeof text !== 'string' || (split !== 'train' && split !== 'test')) {
      throw new InputError(`${place}: expected a prompt, and train or test as its split, found another value`);
    }
    return { row, place, text, split };
  });
}
