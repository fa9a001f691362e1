import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataParts, type DataSpec, dataFiles, dataSources, dataSpec, loadData } from '../data/index.js';
import { digestOf, digestOfFiles, digestOfFolder } from '../evidence/index.js';
import { TABLE_NAME } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { loadTokenizer } from '../text/index.js';
import type { RunInputs } from './command.js';

/** Where data sets that are not part of weightlock come from, as messages say it. */
const HOW = 'set WEIGHTLOCK_DATA to the folder that holds one subfolder for each data set';

/** Folder of the data sets that commands find by name, `WEIGHTLOCK_DATA`; undefined where it is not set. */
function configuredFolder(): string | undefined {
  // An empty variable is one that is not set.
  return process.env.WEIGHTLOCK_DATA || undefined;
}

/**
 * Folder of the data sets that commands find by name.
 *
 * @param instead - How else it could have been given, for the message.
 * @throws InputError when `WEIGHTLOCK_DATA` is not set.
 */
export function dataFolder(instead: string): string {
  const folder = configuredFolder();
  if (folder === undefined) throw new InputError(`WEIGHTLOCK_DATA is not set: ${HOW}, or ${instead}`);
  return folder;
}

/**
 * The folder of one data set below the folder of all.
 *
 * @throws InputError when it is not there.
 */
export function dataSetFolder(folder: string, name: string): string {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  throw new InputError(`${path}: expected the folder of the files of ${name}, found nothing; ${HOW}`);
}

/**
 * `dataSpec` as the command line has it: a data set that is named without a path lies in the folder of `WEIGHTLOCK_DATA`
 * under its name, and where neither is given it is the embedded digits.
 */
export const taskData = dataSpec.transform((spec, { issues }): DataSpec => {
  const { name = spec.path === undefined ? 'digits' : undefined } = spec;
  if (name === undefined || spec.path !== undefined || !dataSources.get(name).needsPath) return { ...spec, name };
  const folder = configuredFolder();
  const path = folder === undefined ? undefined : join(folder, name);
  if (path === undefined || !existsSync(path)) {
    const found = path === undefined ? 'but WEIGHTLOCK_DATA is not set' : `but there is no ${path}`;
    const message = `expected the folder of the files of ${name}, ${found}; ${HOW}, or give --data.path`;
    issues.push({ code: 'custom', message, input: spec.path, path: ['path'] });
  }
  return { ...spec, name, path };
});

/**
 * Loads a task's data, and tells the user what of its files was left out.
 *
 * @param options - `measures`: whether nothing is trained on them; default false.
 * @throws InputError as `loadData`, and when something is to be trained and all examples are test examples.
 */
export async function loadTask(
  data: DataSpec,
  note: (text: string) => void,
  { measures = false }: { measures?: boolean } = {},
): Promise<DataParts> {
  if (data.testShare === 1 && !measures) {
    throw new InputError('data.testShare: expected less than 1, as there must be examples to train on');
  }
  const parts = await loadData(data);
  for (const sentence of parts.notes ?? []) note(sentence);
  return parts;
}

/**
 * Refuses what would change nothing about the examples that are only measured.
 *
 * @throws InputError when images are to be augmented, the examples of another part are to be limited, or a back door is to be trained.
 */
export function requireMeasured(data: DataSpec, part: 'train' | 'validation' | 'test'): void {
  const { crop, flip, limit, testLimit, triggerShare } = data;
  const ofOthers = part === 'test' ? { limit } : { testLimit };
  const unused = { ...ofOthers, ...(part !== 'train' && { triggerShare }), crop, flip };
  for (const [key, value] of Object.entries(unused)) {
    if (value === undefined || value === 0 || value === false) continue;
    throw new InputError(`data.${key}: expected none, as it changes nothing about ${part} examples, got ${value}`);
  }
}

/**
 * The digests of a task's files and of the tokenizer that reads them, for the run folder: other files under the same path are
 * another run.
 */
export async function dataInputs(data: DataSpec): Promise<RunInputs> {
  const { path, tokenizer } = data;
  const reads: RunInputs = tokenizer === undefined ? {} : { tokenizer: (await loadTokenizer(tokenizer)).digest };
  if (path === undefined) return reads;
  if (TABLE_NAME.test(path)) return { ...reads, data: await digestOf(path) };
  if (!(await stat(path).catch(() => undefined))?.isFile()) return { ...reads, data: await digestOfFolder(path) };
  // Of one set among several in a folder, in which there may be anything, such as the run folder itself.
  const { folder, names } = await dataFiles(data);
  return { ...reads, data: await digestOfFiles(folder, names) };
}
