import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { readFileCapped, readJsonFile } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import type { Environment } from './environment.js';

/** What a run's numbers come from. */
export interface RunOrigin {
  /** Command that made it. */
  readonly command: string;
  /** Its configuration, all defaults filled in. */
  readonly config: Record<string, unknown>;
  /** What it was computed with. */
  readonly environment: Environment;
}

/** A finished run, read back. */
export interface FinishedRun extends RunOrigin {
  /** What it found. */
  readonly result: unknown;
}

const maxConfigBytes = 2 ** 20;
const maxResultBytes = 2 ** 28;

/**
 * Reads what a run folder notes of its origin, finished or not.
 *
 * @throws InputError when the folder is no run folder.
 */
export async function readOrigin(path: string): Promise<RunOrigin> {
  const command = /^([a-z][a-z0-9-]*)-[0-9a-f]{12}$/.exec(basename(path))?.[1];
  if (!command) throw new InputError(`${path}: expected a run folder named <command>-<12 hex digits>`);
  const text = new TextDecoder().decode(await readFileCapped(join(path, 'config.yaml'), maxConfigBytes));
  const config: unknown = parse(text, { maxAliasCount: 0 });
  if (typeof config !== 'object' || config === null) throw new InputError(`${path}: expected keys in config.yaml`);
  return {
    command,
    config: config as Record<string, unknown>,
    environment: (await readJsonFile(join(path, 'environment.json'))) as Environment,
  };
}

/**
 * Reads a run folder that is done. Its content is checked by whoever uses it.
 *
 * @throws InputError when the folder is no run folder or the run is not finished.
 */
export async function readRun(path: string): Promise<FinishedRun> {
  const origin = await readOrigin(path);
  await readFileCapped(join(path, 'DONE'), 1024).catch(() => {
    throw new InputError(`${path}: expected a finished run, found no DONE in it`);
  });
  return { ...origin, result: await readJsonFile(join(path, 'result.json'), maxResultBytes) };
}
