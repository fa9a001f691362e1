import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile, rm, rmdir, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';
import {
  asOutputError,
  isTemporary,
  makeFolder,
  readFileCapped,
  readJsonFile,
  requireWritable,
  resolveInside,
  writeFileAtomic,
} from '../formats/index.js';
import { InputError, WeightlockError } from '../registry/index.js';
import { canonicalJson, configHash, firstDifference } from './config-hash.js';
import { describeEnvironment, type Environment } from './environment.js';
import { FolderLock } from './folder-lock.js';
import { type MetricRecord, metricLine, parseMetrics, toJson } from './metrics.js';
import { noteFiles } from './outputs.js';
import { type RunStatus, STATUS, StatusWriter } from './status.js';

const LOCK = 'lock';
const CONFIG = 'config.yaml';
const ENVIRONMENT = 'environment.json';
const METRICS = 'metrics.jsonl';
const RESULT = 'result.json';
const CHECKPOINTS = 'checkpoints';
const DONE = 'DONE';

/** A configuration is a page of text; more than this is not one of ours. */
const MAX_CONFIG_BYTES = 2 ** 20;
/** About two million records; JavaScript strings end at half a gigabyte. */
const MAX_METRICS_BYTES = 2 ** 28;

/** What decides which run folder is meant. */
export interface RunFolderOptions {
  /** Folder of all runs; default `runs`. */
  root?: string;
  /** Name of the command: lower-case letters, digits, dashes. */
  command: string;
  /** Everything that decides the result, all defaults filled in; plain JSON data. */
  config: Readonly<Record<string, unknown>>;
}

/** How far the run in a folder has come. */
export type RunState = 'new' | 'resumable' | 'done';

/** Where a configuration's run is, and how far. */
export interface RunLocation {
  /** The folder, relative if `root` is. */
  path: string;
  /** Its last part: `<command>-<config hash>`. */
  name: string;
  /** How far the run has come. */
  state: RunState;
}

/**
 * One run's folder `<root>/<command>-<config hash>/`: config.yaml, environment.json, status.json, metrics.jsonl, result.json,
 * checkpoints/, outputs.json (digests of all that was written), and DONE, written last. The same configuration opens the
 * same folder again: done, or to be resumed.
 *
 * @example
 * const run = await RunFolder.open({ command: 'lock', config });
 * if (run.isDone) return run.readResult();
 */
export class RunFolder {
  /** The folder, relative if `root` is. */
  readonly path: string;
  readonly #config: RunFolderOptions['config'];
  #resumed: boolean;
  #done: boolean;
  #lock: FolderLock | undefined;
  #metrics: number | undefined;
  #status: StatusWriter | undefined;

  private constructor(path: string, config: RunFolderOptions['config'], state: RunState, lock?: FolderLock) {
    this.path = path;
    this.#config = config;
    this.#resumed = state === 'resumable';
    this.#done = state === 'done';
    this.#lock = lock;
    this.#status = lock && new StatusWriter(path);
  }

  /**
   * Says which folder a configuration has and how far its run has come; changes nothing.
   *
   * @throws InputError when the folder there holds another configuration, is no run folder, or can't be written.
   */
  static async locate({ root = 'runs', command, config }: RunFolderOptions): Promise<RunLocation> {
    if (!/^[a-z][a-z0-9-]*$/.test(command))
      throw new RangeError(`command: expected lower-case letters, got ${command}`);
    const name = `${command}-${configHash(command, config)}`;
    const path = join(root, name);
    const state = await readState(path, name, config);
    if (state !== 'done') await requireWritable(path, 'folder');
    return { path, name, state };
  }

  /**
   * Opens the folder of a configuration for writing, or for reading when its run is done.
   *
   * @param options - See {@link RunFolderOptions}; `force` (default false) first empties a folder that weightlock made.
   * @throws InputError when the folder holds another configuration, is no run folder, is in use, or can't be written.
   */
  static async open({ force = false, ...options }: RunFolderOptions & { force?: boolean }): Promise<RunFolder> {
    const { root = 'runs', command, config } = options;
    const name = `${command}-${configHash(command, config)}`;
    const path = join(root, name);
    let lock: FolderLock | undefined;
    try {
      if (!force && (await RunFolder.locate(options)).state === 'done') return new RunFolder(path, config, 'done');
      await makeFolder(path);
      lock = await FolderLock.acquire(join(path, LOCK));
      if (force) await emptyRunFolder(path, name);
      // Asked again now that no one else can write here: another process may have finished the run meanwhile.
      const { state } = await RunFolder.locate(options);
      if (state === 'done') {
        await lock.release();
        return new RunFolder(path, config, state);
      }
      await prepare(path, name, state, config);
      return new RunFolder(path, config, state, lock);
    } catch (error) {
      await lock?.release().catch(() => undefined);
      throw asOutputError(path, error, 'folder');
    }
  }

  /**
   * Opens a finished run again, to be resumed from its checkpoints, where what it wrote was lost.
   *
   * @throws InputError when another process works in the folder, or it can't be written.
   */
  async reopen(): Promise<void> {
    if (!this.#done) throw new WeightlockError(`${this.path}: expected a finished run to open again`);
    try {
      this.#lock = await FolderLock.acquire(join(this.path, LOCK));
      await rm(this.file(DONE), { force: true });
      this.#done = false;
      this.#resumed = true;
      await prepare(this.path, basename(this.path), 'resumable', this.#config);
      this.#status = new StatusWriter(this.path);
    } catch (error) {
      await this.close();
      throw asOutputError(this.path, error, 'folder');
    }
  }

  /** Whether an earlier process had begun this run and not finished it, or what it finished was lost. */
  get resumed(): boolean {
    return this.#resumed;
  }

  /** Whether the run is finished: its DONE is written. */
  get isDone(): boolean {
    return this.#done;
  }

  /**
   * A path inside the folder.
   *
   * @throws InputError when the name leaves the folder.
   */
  file(name: string): string {
    return resolveInside(this.path, name);
  }

  /**
   * A path inside checkpoints/. Write there with `writeFileAtomic`, and call {@link RunFolder.flushMetrics} before.
   *
   * @throws InputError when the name leaves the folder.
   */
  checkpointPath(name: string): string {
    return resolveInside(join(this.path, CHECKPOINTS), name);
  }

  /** Names in checkpoints/, sorted, without what a killed process left half-written. */
  async checkpoints(): Promise<string[]> {
    const names = await readdir(join(this.path, CHECKPOINTS)).catch(() => []);
    return names.filter((name) => !isTemporary(name)).sort();
  }

  /**
   * Appends one line to metrics.jsonl, with the time. Synchronous, so that records keep their order without being awaited; a line is
   * one write of about 10 µs.
   *
   * @throws InputError when the disk refuses; WeightlockError when the run is done or closed.
   */
  appendMetric(record: MetricRecord): void {
    this.#assertOpen();
    const bytes = new TextEncoder().encode(metricLine({ ...record, time: new Date().toISOString() }));
    try {
      this.#metrics ??= openSync(this.file(METRICS), 'a');
      for (let offset = 0; offset < bytes.length; ) offset += writeSync(this.#metrics, bytes, offset);
    } catch (error) {
      throw asOutputError(this.path, error, 'folder');
    }
  }

  /** Says where the run is, for whoever watches it: written to status.json, at most twice a second within a phase. */
  reportStatus(now: Pick<RunStatus, 'phase' | 'step' | 'total'>): void {
    try {
      this.#status?.update(now);
    } catch (error) {
      throw asOutputError(this.path, error, 'folder');
    }
  }

  /** Makes the metrics so far durable; before a checkpoint, so that after a power cut none is missing below it. */
  flushMetrics(): void {
    if (this.#metrics !== undefined) fsyncSync(this.#metrics);
  }

  /**
   * Cuts the records beyond a restored checkpoint: the resumed run measures them again, and its file ends up equal to
   * an uninterrupted run's.
   *
   * @param afterStep - The checkpoint's step, or -1 when there is none and the run begins anew.
   * @throws InputError when the file holds a line that is no record.
   */
  async truncateMetrics(afterStep: number): Promise<void> {
    this.#assertOpen();
    this.#closeMetrics();
    const lines = await this.#metricLines();
    const kept = lines.filter(({ record }) => record.step <= afterStep);
    if (kept.length === lines.length) return;
    await this.#write(METRICS, kept.map(({ line }) => line).join(''));
  }

  /** Reads metrics.jsonl; empty when nothing was measured yet. */
  async readMetrics(): Promise<MetricRecord[]> {
    return (await this.#metricLines()).map(({ record }) => record);
  }

  /** Writes result.json; NaN and the infinities as strings. */
  async writeResult(result: unknown): Promise<void> {
    this.#assertOpen();
    await this.#write(RESULT, `${toJson(result, 2)}\n`);
  }

  /**
   * Reads result.json.
   *
   * @throws InputError when the run has written none.
   */
  readResult(): Promise<unknown> {
    return readJsonFile(this.file(RESULT));
  }

  /** Marks the run as finished, after everything else is on disk, and closes the folder. */
  async done(): Promise<void> {
    this.#assertOpen();
    this.flushMetrics();
    await noteFiles(this.path);
    await this.#write(DONE, `${new Date().toISOString()}\n`);
    this.#done = true;
    this.#status?.end('done');
    this.#status = undefined;
    await this.close();
  }

  /** Lets go of the folder: another process may then open it. Safe to call twice. */
  async close(): Promise<void> {
    this.#closeMetrics();
    try {
      this.#status?.end('stopped');
    } catch {
      // A folder that is gone or full: what ended the run says so, and the lock is let go all the same.
    }
    this.#status = undefined;
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  /** Takes a new run's folder away again, where something was refused before anything was found; closes the folder. */
  async withdraw(): Promise<void> {
    if (this.#resumed || !this.#lock || !(await holdsNothing(this.path))) return this.close();
    this.#status = undefined;
    // Our marker last, as in emptying: what a kill leaves is still known as ours.
    for (const name of [CHECKPOINTS, ENVIRONMENT, STATUS, CONFIG]) {
      await rm(join(this.path, name), { recursive: true, force: true });
    }
    await this.close();
    // Refuses a folder that another process has begun meanwhile.
    await rmdir(this.path).catch(() => undefined);
  }

  #assertOpen(): void {
    if (!this.#lock) throw new WeightlockError(`${this.path}: expected an open run, this one is done or closed`);
  }

  #closeMetrics(): void {
    if (this.#metrics !== undefined) closeSync(this.#metrics);
    this.#metrics = undefined;
  }

  async #metricLines(): Promise<ReturnType<typeof parseMetrics>> {
    const path = this.file(METRICS);
    if (!(await exists(path))) return [];
    return parseMetrics(new TextDecoder().decode(await readFileCapped(path, MAX_METRICS_BYTES)), path);
  }

  async #write(name: string, content: string): Promise<void> {
    try {
      await writeFileAtomic(this.file(name), content);
    } catch (error) {
      throw asOutputError(this.path, error, 'folder');
    }
  }
}

/** The first line of our config.yaml; only a folder that carries it is ever emptied. */
function marker(name: string): string {
  return `# weightlock run folder ${name}`;
}

async function readState(path: string, name: string, config: Readonly<Record<string, unknown>>): Promise<RunState> {
  const names = (await exists(path)) ? await readdir(path) : [];
  if (names.every(isScaffold)) return 'new';
  const file = join(path, CONFIG);
  if (!names.includes(CONFIG)) {
    throw new InputError(`${path}: expected an empty or a run folder, found files and no ${CONFIG}; move it away`);
  }
  const difference = firstDifference(JSON.parse(canonicalJson(config)), await readConfig(file));
  if (difference) {
    const { key, expected, found } = difference;
    const values = `expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`;
    throw new InputError(`${file}: ${key}: ${values}; the file was edited or is not ${name}'s (--force starts anew)`);
  }
  return names.includes(DONE) ? 'done' : 'resumable';
}

/** What may lie in a folder before config.yaml does: a process can be killed between the two. */
function isScaffold(name: string): boolean {
  return name.split('.', 1)[0] === LOCK || isTemporary(name);
}

async function readConfig(file: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readFileCapped(file, MAX_CONFIG_BYTES));
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new InputError(`${file}: expected the YAML that weightlock wrote, ${reason}`);
  }
}

/** Brings a new or interrupted folder into the state a run may begin from. */
async function prepare(
  path: string,
  name: string,
  state: RunState,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  // First of all: a folder that holds anything else without it is taken for a stranger's, also after a kill.
  const plain: unknown = JSON.parse(canonicalJson(config));
  if (state === 'new') await writeFileAtomic(join(path, CONFIG), `${marker(name)}\n${stringify(plain)}`);
  await makeFolder(join(path, CHECKPOINTS));
  for (const folder of [path, join(path, CHECKPOINTS)]) {
    const left = (await readdir(folder)).filter(isTemporary);
    for (const entry of left) await rm(join(folder, entry), { force: true });
  }
  await writeEnvironment(join(path, ENVIRONMENT), config);
  await dropHalfLine(join(path, METRICS));
}

/** Notes what the run is computed with; a resumed run adds an entry, since its software or machine may be another. */
async function writeEnvironment(file: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  const now = describeEnvironment({ threads: typeof config.threads === 'number' ? config.threads : undefined });
  const before = (await exists(file))
    ? ((await readJsonFile(file)) as Environment & { resumed?: Environment[] })
    : null;
  const all = before ? { ...before, resumed: [...(before.resumed ?? []), now] } : now;
  await writeFileAtomic(file, `${toJson(all, 2)}\n`);
}

async function dropHalfLine(file: string): Promise<void> {
  if (!(await exists(file))) return;
  const bytes = await readFileCapped(file, MAX_METRICS_BYTES);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end < bytes.length) await truncate(file, end);
}

/** Empties a folder for `--force`: DONE first and our marker last, so that a kill in between leaves it repeatable. */
async function emptyRunFolder(path: string, name: string): Promise<void> {
  const names = await readdir(path);
  if (names.every(isScaffold)) return;
  const config = await readFile(join(path, CONFIG), 'utf8').catch(() => '');
  if (config.split('\n', 1)[0] !== marker(name)) {
    throw new InputError(
      `${path}: --force empties only folders that weightlock made, and this one is not marked as such`,
    );
  }
  const rank = (entry: string) => (entry === DONE ? 0 : entry === CHECKPOINTS ? 1 : entry === CONFIG ? 3 : 2);
  for (const entry of names.filter((each) => each !== LOCK).sort((a, b) => rank(a) - rank(b))) {
    await rm(join(path, entry), { recursive: true, force: true });
  }
}

/** Whether a run's folder holds what every run begins with, and nothing else. */
async function holdsNothing(path: string): Promise<boolean> {
  const beginnings = [CONFIG, ENVIRONMENT, STATUS, CHECKPOINTS];
  const others = (await readdir(path)).filter((name) => !isScaffold(name) && !beginnings.includes(name));
  return others.length === 0 && (await readdir(join(path, CHECKPOINTS))).length === 0;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
