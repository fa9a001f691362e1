import { readFileSync } from 'node:fs';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { fileErrorCode, temporaryPath, writeFileAtomic } from '../formats/index.js';
import { InputError } from '../registry/index.js';

/** On a file system without links, a lock file without content is being made for this long, and a dead one's after it. */
const HALF_MADE_MS = 10_000;
const OPENING = 'another process is just opening this folder; try again';

/** Who holds a lock. */
interface Owner {
  pid: number;
  host: string;
  /** Boot and start time of the process where the system tells (Linux): a process number alone is used again. */
  born: string | null;
}

/**
 * A file that says which process works in a folder, so that two never write into one.
 * It vanishes with {@link FolderLock.release}; a killed process leaves it behind, and the next one takes it over.
 */
export class FolderLock {
  readonly #path: string;
  readonly #content: string;

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  /**
   * Takes the lock, from a dead process if need be.
   *
   * @param path - The lock file; its folder exists.
   * @throws InputError when a living process, or one on another machine, holds it.
   */
  static async acquire(path: string): Promise<FolderLock> {
    const owner: Owner = { pid: process.pid, host: hostname(), born: bornOf(process.pid) };
    const content = `${JSON.stringify(owner)}\n`;
    // Each round either takes the lock, finds it held, or finds it changed in between.
    for (let round = 0; round < 5; round++) {
      try {
        await createWhole(path, content);
        return new FolderLock(path, content);
      } catch (error) {
        if (fileErrorCode(error) !== 'EEXIST') throw error;
      }
      const found = await readFile(path, 'utf8').catch(() => undefined);
      if (found === undefined) continue;
      const holder = await livingHolder(path, found);
      if (holder) throw new InputError(`${dirname(path)}: ${holder}`);
      if (await takeOver(path, found, content)) return new FolderLock(path, content);
    }
    throw new InputError(`${dirname(path)}: expected to be alone in this folder, other processes keep opening it`);
  }

  /** Gives the lock back; does nothing when the file is no longer ours. */
  async release(): Promise<void> {
    const found = await readFile(this.#path, 'utf8').catch(() => undefined);
    if (found === this.#content) await rm(this.#path, { force: true });
  }
}

/**
 * Makes a file with its content, or fails with EEXIST where there is one: written under another name and linked, so that no
 * process, killed at any point, leaves one without content behind.
 */
async function createWhole(path: string, content: string): Promise<void> {
  const temporary = temporaryPath(path);
  await writeFile(temporary, content, { flag: 'wx' });
  try {
    await link(temporary, path);
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST') throw error;
    // File systems without links (FAT, some network ones): the half-made one is then told by its age.
    await writeFile(path, content, { flag: 'wx' });
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Says who holds the lock, or undefined when its process is dead. */
async function livingHolder(path: string, content: string): Promise<string | undefined> {
  const owner = parseOwner(content);
  if (!owner) {
    return (await ageOf(path)) < HALF_MADE_MS ? OPENING : undefined;
  }
  if (owner.host !== hostname()) {
    return `in use by process ${owner.pid} on ${JSON.stringify(owner.host)}; if that one is dead, delete ${path}`;
  }
  if (!isAlive(owner.pid)) return undefined;
  if (owner.born !== null && owner.born !== bornOf(owner.pid)) return undefined;
  return `in use by process ${owner.pid}; wait for it, or stop it and run this again`;
}

function parseOwner(content: string): Owner | undefined {
  try {
    const { pid, host, born } = JSON.parse(content) as Record<string, unknown>;
    // kill(0) and kill(-n) address process groups, so only a positive number is a process.
    if (!Number.isSafeInteger(pid) || Number(pid) <= 0 || typeof host !== 'string') return undefined;
    return { pid: Number(pid), host, born: typeof born === 'string' ? born : null };
  } catch {
    return undefined;
  }
}

/**
 * Replaces a dead process's lock by ours; false when another process was faster.
 *
 * Only the holder of a second lock may replace it, and looks at it again first. Removing and creating instead lets two
 * processes in: one removes what the other has just created. A process killed here leaves the second lock behind, which the
 * next one takes over in the same way.
 */
async function takeOver(path: string, dead: string, content: string): Promise<boolean> {
  const guard = await FolderLock.acquire(`${path}.takeover`).catch((error: unknown) => {
    throw error instanceof InputError ? new InputError(`${dirname(path)}: ${OPENING}`) : error;
  });
  try {
    if ((await readFile(path, 'utf8').catch(() => undefined)) !== dead) return false;
    await writeFileAtomic(path, content);
    return true;
  } finally {
    await guard.release();
  }
}

async function ageOf(path: string): Promise<number> {
  return Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return fileErrorCode(error) === 'EPERM';
  }
}

/** Boot id and start tick of a process, from /proc; null where there is none. */
function bornOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the name in parentheses may hold anything; start time is field 22, the state after the name is field 3.
    const start = status.slice(status.lastIndexOf(')') + 2).split(' ')[22 - 3];
    return start ? `${boot}:${start}` : null;
  } catch {
    return null;
  }
}
