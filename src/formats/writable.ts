import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { OutputError } from '../registry/index.js';

/** What is written to a path. */
export type OutputKind = 'file' | 'folder';

/** What a file system says, in words. */
const REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'a read-only file system',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the disk fails (input/output error)',
  ENOENT: 'nothing can be made there',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'a file is in its place',
  EISDIR: 'a folder is in its place',
  ELOOP: 'a link that leads back to itself',
  ENAMETOOLONG: 'a name that is too long',
};

/** What can happen to a disk while a long run writes to it: no fault of the command, which goes on once it is mended. */
const PASSING = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS']);

/** The code of a file system's error, such as ENOSPC; none for other errors. */
export function fileErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether a disk that is full, broken or read-only is to blame. */
export function isDiskError(error: unknown): boolean {
  return PASSING.has(fileErrorCode(error) ?? '');
}

/**
 * Turns what the file system says into one clear line; leaves other errors alone. A disk that filled up or failed says
 * that the same command goes on.
 *
 * @param path - What was to be written.
 */
export function asOutputError(path: string, error: unknown, kind: OutputKind = 'file'): unknown {
  const code = fileErrorCode(error);
  if (code === undefined) return error;
  const resume = PASSING.has(code) ? '; mend that and run the same command again, which resumes what was begun' : '';
  return new OutputError(`${path}: ${expectation(kind)}, found: ${REASONS[code] ?? code}${resume}`, { cause: error });
}

function expectation(kind: OutputKind): string {
  return kind === 'file' ? 'expected a file that can be written' : 'expected a folder to write into';
}

/**
 * Checks that a file or folder can be written, without leaving anything behind: ask before long work, not after it. A
 * hidden file is made and removed again where the first new entry would be; rights, read-only disks, file systems that
 * take nothing (`/proc`) and full disks show no other way.
 *
 * @param path - What will be written; its folders need not exist yet.
 * @param options - `bytes`: how many will be, as far as it is known.
 * @throws OutputError when it cannot be written.
 */
export async function requireWritable(
  path: string,
  kind: OutputKind,
  { bytes = 0 }: { bytes?: number } = {},
): Promise<void> {
  const fail = (found: string) => new OutputError(`${path}: ${expectation(kind)}, found ${found}`);
  if (kind === 'file') {
    const info = await entry(path, path, kind);
    if (info && !info.isFile()) throw fail(info.isDirectory() ? 'a folder' : 'a device or pipe');
  }
  const { base } = await existingPart(kind === 'file' ? dirname(resolve(path)) : resolve(path), path, kind);
  await probe(base, path, kind);
  const disk = await statfs(base).catch(() => undefined);
  // File systems without blocks of their own say nothing of their room.
  if (disk && disk.blocks > 0 && disk.bavail * disk.bsize < Math.max(bytes, 1)) {
    throw fail(
      `${disk.bavail * disk.bsize} bytes of free disk${bytes > 0 ? ` where ${Math.ceil(bytes)} are needed` : ''}`,
    );
  }
}

/** What lies at a path, links followed; none where there is nothing. */
async function entry(at: string, path: string, kind: OutputKind): Promise<Stats | undefined> {
  try {
    return await stat(at);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') {
      const own = await lstat(at).catch(() => undefined);
      if (!own) return undefined;
      // Made meanwhile, by another process.
      if (!own.isSymbolicLink()) return entry(at, path, kind);
      throw new OutputError(`${path}: ${expectation(kind)}, found a link to nothing (${at})`);
    }
    // A parent is a file; the walk upwards names it.
    if (fileErrorCode(error) === 'ENOTDIR') return undefined;
    throw asOutputError(path, error, kind);
  }
}

/** The deepest folder of a path that exists, and the names below it that do not. */
async function existingPart(folder: string, path: string, kind: OutputKind) {
  const missing: string[] = [];
  for (let base = resolve(folder); ; base = dirname(base)) {
    const info = await entry(base, path, kind);
    if (info?.isDirectory()) return { base, missing };
    if (info) throw new OutputError(`${path}: ${expectation(kind)}, found ${base}, which is a file`);
    if (base === dirname(base)) throw new OutputError(`${path}: ${expectation(kind)}, found no disk`);
    missing.unshift(basename(base));
  }
}

/** Makes a file with a few bytes and removes it. */
async function probe(folder: string, path: string, kind: OutputKind): Promise<void> {
  const file = temporaryPath(join(folder, 'probe'));
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'wx');
    await handle.write(new Uint8Array(4096));
    await handle.sync();
  } catch (error) {
    throw asOutputError(path, error, kind);
  } finally {
    await handle?.close().catch(() => undefined);
    if (handle) await rm(file, { force: true }).catch(() => undefined);
  }
}

/**
 * Makes a folder and those above it. One level at a time: Node's recursive `mkdir` never returns below `/proc`.
 *
 * @throws OutputError when it cannot be made.
 */
export async function makeFolder(path: string): Promise<void> {
  const { base, missing } = await existingPart(path, path, 'folder');
  let at = base;
  for (const name of missing) {
    at = join(at, name);
    await mkdir(at).catch((error: unknown) => {
      // Another process may have made it meanwhile.
      if (fileErrorCode(error) !== 'EEXIST') throw asOutputError(path, error, 'folder');
    });
  }
}

/** A name beside a file for its content while it is being written; a killed process leaves it behind. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`);
}

/** Whether a name is of {@link temporaryPath}. */
export function isTemporary(name: string): boolean {
  return /^\..+\.\d+\.[0-9a-f]{8}\.tmp$/.test(name);
}
