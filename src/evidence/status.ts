import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, temporaryPath } from '../formats/index.js';
import { InputError, inWords } from '../registry/index.js';

/** The file of a run folder that says how far the run has come. */
export const STATUS = 'status.json';

const moment = z.iso.datetime();

/** What `status.json` holds: enough to watch a run from another process. */
export const runStatus = z.strictObject({
  version: z.literal(1).describe('of this form'),
  state: z
    .enum(['running', 'stopped', 'done'])
    .describe('a run that was killed stays running: then its `updated` is old and its process gone'),
  phase: z.string().nullable().describe('part of the work, such as train; null before the first'),
  step: z.number().min(0).describe('steps of the phase that are done'),
  total: z.number().min(0).nullable().describe('steps of the phase at most; null where that is not known'),
  started: moment.describe('when this process began, or went on with, the run'),
  updated: moment.describe('when this was written'),
});

/** How far a run has come. */
export type RunStatus = z.output<typeof runStatus>;

/** JSON Schema (2020-12) of the file. */
export function statusJsonSchema(): Record<string, unknown> {
  return { $id: 'weightlock/status/1', title: 'Status of a weightlock run', ...z.toJSONSchema(runStatus) };
}

/** Milliseconds between two writes: a step may take less than one. */
const every = 500;

/** Writes the status of a run, at most twice a second within a phase. */
export class StatusWriter {
  readonly #started = new Date().toISOString();
  #now: Pick<RunStatus, 'phase' | 'step' | 'total'> = { phase: null, step: 0, total: null };
  #written = 0;

  /** @param folder - The run folder, open for writing; its status is running from now on. */
  constructor(private readonly folder: string) {
    this.#write('running');
  }

  /** Notes where the run is. */
  update(now: Pick<RunStatus, 'phase' | 'step' | 'total'>): void {
    const isNew = now.phase !== this.#now.phase;
    this.#now = now;
    if (isNew || Date.now() - this.#written >= every) this.#write('running');
  }

  /** Notes that this process has ended its work on the run. */
  end(state: 'stopped' | 'done'): void {
    this.#write(state);
  }

  /** In one piece, but not flushed to the disk: a status from before a power cut is of no use. */
  #write(state: RunStatus['state']): void {
    const updated = new Date().toISOString();
    const status: RunStatus = { version: 1, state, ...this.#now, started: this.#started, updated };
    const path = join(this.folder, STATUS);
    const temporary = temporaryPath(path);
    writeFileSync(temporary, `${JSON.stringify(status, null, 2)}\n`);
    renameSync(temporary, path);
    this.#written = Date.now();
  }
}

/**
 * Reads how far a run has come, while another process works on it.
 *
 * @param run - The run folder.
 * @throws InputError when it has no status, or one of another form.
 */
export async function readStatus(run: string): Promise<RunStatus> {
  const path = join(run, STATUS);
  const parsed = runStatus.safeParse(await readJsonFile(path), { error: inWords });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path: key, message }) => `${key.join('.')}: ${message}`);
  throw new InputError(`${path}: ${issues.join('; ')}`);
}
