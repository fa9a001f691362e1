import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isTemporary, listFolder, readJsonFile, resolveInside, writeFileAtomic } from '../formats/index.js';
import { findOldFiles, type Model, type ModelCard, requireNoModel, saveModel } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { digestOf } from './digest.js';
import { STATUS } from './status.js';

/** Where a run notes what it wrote, with digests: what is reported later must be what was written then. */
const OUTPUTS = 'outputs.json';
/** Files of a run folder that have their own checks, or that no result rests on once the run is done. */
const UNRECORDED = new Set([OUTPUTS, STATUS, 'DONE', 'lock', 'config.yaml', 'checkpoints']);

const recordSchema = z.object({
  /** Model directories as the run was given them; null while one is being written. */
  models: z.record(z.string(), z.string().nullable()).default({}),
  /** Files of the run folder by their path in it, noted when the run ends. */
  files: z.record(z.string(), z.string()).default({}),
});
type OutputRecord = z.output<typeof recordSchema>;

async function readRecord(run: string): Promise<OutputRecord> {
  const path = join(run, OUTPUTS);
  if (!(await stat(path).catch(() => undefined))) return { models: {}, files: {} };
  const parsed = recordSchema.safeParse(await readJsonFile(path));
  if (!parsed.success) throw new InputError(`${path}: expected what weightlock wrote, found something else`);
  return parsed.data;
}

async function writeRecord(run: string, record: OutputRecord): Promise<void> {
  await writeFileAtomic(join(run, OUTPUTS), `${JSON.stringify(record, null, 2)}\n`);
}

/**
 * Notes that a run writes a model directory: from now on, what lies there may be overwritten by the same run.
 *
 * @param run - The run folder, open for writing.
 * @param digest - What it wrote; null before that.
 */
export async function noteModel(run: string, output: string, digest: string | null): Promise<void> {
  const record = await readRecord(run);
  await writeRecord(run, { ...record, models: { ...record.models, [output]: digest } });
}

/** How far a run's model directory has come: not begun, begun, as it was written, no longer there, or another's. */
export type ModelState = 'new' | 'begun' | 'whole' | 'gone' | 'changed';

/** Compares a model directory with what a run noted when it wrote it. */
export async function modelState(run: string, output: string): Promise<ModelState> {
  const { models } = await readRecord(run);
  if (!Object.hasOwn(models, output)) return 'new';
  const digest = models[output];
  if (digest === null) return 'begun';
  if ((await findOldFiles(output)).stale.length === 0) return 'gone';
  const found = await digestOf(output).catch((error: unknown) => {
    // Half deleted, or no model any more.
    if (error instanceof InputError) return undefined;
    throw error;
  });
  return found === digest ? 'whole' : 'changed';
}

/**
 * Writes a run's model and notes its digest. A model that lies there already is overwritten where this run had begun to
 * write it, or with `force`.
 *
 * @param options - `card`: what the directory says of the model.
 * @throws InputError when the folder holds another model.
 */
export async function saveOutput(
  run: string,
  output: string,
  model: Model,
  { force, card }: { force?: boolean; card?: ModelCard } = {},
): Promise<void> {
  await writeOutput(run, output, { force, write: () => saveModel(output, model, { force: true, card }) });
}

/**
 * As {@link saveOutput}, of a model that others write.
 *
 * @param options - `write`: writes it, over what lies there.
 * @throws InputError when the folder holds another model.
 */
export async function writeOutput(
  run: string,
  output: string,
  { force = false, write }: { force?: boolean; write: () => Promise<void> },
): Promise<void> {
  const state = await modelState(run, output);
  await requireNoModel(output, { force: force || state === 'begun' || state === 'whole' });
  await noteModel(run, output, null);
  await write();
  await noteModel(run, output, await digestOf(output));
}

/** Notes the digest of every file of a run folder, at its end. */
export async function noteFiles(run: string): Promise<void> {
  const files: Record<string, string> = {};
  const add = async (folder: string, prefix: string): Promise<void> => {
    const listing = await listFolder(folder);
    for (const name of listing.files) {
      if (!UNRECORDED.has(`${prefix}${name}`) && !isTemporary(name)) {
        files[`${prefix}${name}`] = await digestOf(join(folder, name));
      }
    }
    for (const name of listing.folders) {
      if (!UNRECORDED.has(`${prefix}${name}`)) await add(join(folder, name), `${prefix}${name}/`);
    }
  };
  await add(run, '');
  await writeRecord(run, { ...(await readRecord(run)), files });
}

/** What a finished run wrote and is no longer there, or no longer the same. */
export interface LostOutputs {
  /** Paths of files and model directories that are gone. */
  readonly gone: readonly string[];
  /** Paths of those that are another's, or were changed. */
  readonly changed: readonly string[];
}

/** Compares all that a finished run wrote with what it noted; a run folder that notes nothing has lost nothing. */
export async function findLost(run: string): Promise<LostOutputs> {
  const { files, models } = await readRecord(run);
  const lost = { gone: [] as string[], changed: [] as string[] };
  for (const [name, digest] of Object.entries(files)) {
    resolveInside(run, name);
    const path = join(run, name);
    if (!(await stat(path).catch(() => undefined))) lost.gone.push(path);
    else if ((await digestOf(path)) !== digest) lost.changed.push(path);
  }
  for (const output of Object.keys(models)) {
    const state = await modelState(run, output);
    if (state === 'gone') lost.gone.push(output);
    else if (state === 'changed') lost.changed.push(output);
  }
  return lost;
}
