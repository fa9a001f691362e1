import { type FileHandle, lstat, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { InputError, OutputError } from '../registry/index.js';
import { asOutputError, fileErrorCode, isTemporary, makeFolder, temporaryPath } from './writable.js';

/** Bytes and where in a file they belong. */
export interface PlacedBytes {
  /** Offset of the first. */
  readonly at: number;
  /** Written there. */
  readonly bytes: Uint8Array;
}

/**
 * Content of a file: text, bytes, or chunks, each written before the next is asked for: one after another, but for those that have a
 * place of their own.
 */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array | PlacedBytes>;

/** A file that is about to be written. */
export interface NewFile {
  /** Path within the folder, with slashes. */
  readonly name: string;
  /** Makes its content, when it is written: large files need not lie in memory together. */
  readonly content: () => FileContent | Promise<FileContent>;
}

/**
 * Writes a file so that a reader sees the old content or the new, never a part: temporary file, fsync, rename.
 *
 * @param path - Target; missing folders are created.
 * @param how - `isPrivate`: its owner alone can read it, from its first byte on; default as other files.
 * @throws OutputError when it cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  content: FileContent,
  { isPrivate = false }: { isPrivate?: boolean } = {},
): Promise<void> {
  await makeFolder(dirname(path));
  const temporary = await writeTemporary(path, content, isPrivate ? 0o600 : undefined);
  try {
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asOutputError(path, error);
  }
}

/**
 * Replaces files of a folder together. All new content is on the disk before anything that was there is touched, and the
 * last file, without which no reader accepts the folder, vanishes first and comes last: a process that is killed at any
 * point leaves the old files, the new ones, or a folder that is plainly unfinished, and never a mixture that reads well.
 *
 * @param files - What to write; the last one is that mark.
 * @param stale - Paths within the folder of files to remove.
 * @throws OutputError when something cannot be written.
 */
export async function replaceFiles(
  folder: string,
  files: readonly NewFile[],
  stale: readonly string[] = [],
): Promise<void> {
  const root = resolve(folder);
  await makeFolder(root);
  const staged: { temporary: string; path: string }[] = [];
  const folders = new Set([root]);
  try {
    for (const { name, content } of files) {
      const path = resolveInside(root, name);
      await makeFolder(dirname(path));
      // A folder in between may be a link to another model's.
      if (!isWithin(await realpath(root), await realpath(dirname(path)))) {
        throw new OutputError(`${path}: expected a place inside ${folder}, found a link out of it`);
      }
      await sweepTemporaries(dirname(path));
      folders.add(dirname(path));
      staged.push({ temporary: await writeTemporary(path, await content()), path });
    }
    const mark = staged.at(-1);
    if (mark) await rm(mark.path, { force: true });
    for (const name of stale) await rm(resolveInside(root, name), { force: true });
    for (const { temporary, path } of staged) await rename(temporary, path);
    for (const each of folders) await syncFolder(each);
  } catch (error) {
    for (const { temporary } of staged) await rm(temporary, { force: true }).catch(() => undefined);
    throw asOutputError(folder, error, 'folder');
  }
}

/** Removes what killed processes left of half-written files. */
async function sweepTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(/\.(\d+)\.[0-9a-f]{8}\.tmp$/.exec(name)?.[1]);
    if (isTemporary(name) && pid !== process.pid && !isRunning(pid)) await rm(join(folder, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return fileErrorCode(error) === 'EPERM';
  }
}

/** Writes content to a new file beside a path and makes it durable; the file's name. */
async function writeTemporary(path: string, content: FileContent, mode?: number): Promise<string> {
  const temporary = temporaryPath(path);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      if (typeof content === 'string') await writeAll(file, new TextEncoder().encode(content), 0);
      else if (content instanceof Uint8Array) await writeAll(file, content, 0);
      else {
        let end = 0;
        for await (const chunk of content) {
          if (!(chunk instanceof Uint8Array)) await writeAll(file, chunk.bytes, chunk.at);
          else {
            await writeAll(file, chunk, end);
            end += chunk.length;
          }
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return temporary;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asOutputError(path, error);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    offset += (await file.write(bytes, offset, bytes.length - offset, at + offset)).bytesWritten;
  }
}

/** Makes a rename durable. Windows cannot open folders; there the rename alone must do. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Reads a whole file that must not be larger than a cap.
 *
 * @param path - File to read.
 * @param maxBytes - Refused above this size, before anything is allocated.
 * @throws InputError when the file is missing, no regular file, or too large.
 */
export async function readFileCapped(path: string, maxBytes: number): Promise<Uint8Array> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file, found nothing`);
  if (!info.isFile()) throw new InputError(`${path}: expected a regular file, found a folder or device`);
  if (info.size > maxBytes) throw new InputError(`${path}: expected at most ${maxBytes} bytes, found ${info.size}`);
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(info.size);
    let offset = 0;
    while (offset < bytes.length) {
      const { bytesRead } = await file.read(bytes, offset, bytes.length - offset);
      if (bytesRead === 0) throw new InputError(`${path}: expected ${info.size} bytes, the file ended at ${offset}`);
      offset += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/**
 * Reads a JSON file of at most `maxBytes` (default 16 MiB).
 *
 * @throws InputError when it is missing, too large, or not JSON.
 */
export async function readJsonFile(path: string, maxBytes = 16 * 2 ** 20): Promise<unknown> {
  const text = new TextDecoder().decode(await readFileCapped(path, maxBytes));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: expected JSON, ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Joins a relative name from an untrusted file to a folder and refuses to leave it.
 *
 * @throws InputError when the name is absolute or climbs out of the folder.
 */
export function resolveInside(folder: string, name: string): string {
  const path = resolve(folder, name);
  if (isAbsolute(name) || name.includes('\0') || !path.startsWith(resolve(folder) + sep)) {
    throw new InputError(`${folder}: expected a file name inside this folder, found ${JSON.stringify(name)}`);
  }
  return path;
}

/** What lies in a folder, by name, in the order of their UTF-16 code units. */
export interface FolderListing {
  /** Regular files. */
  readonly files: readonly string[];
  /** Folders. */
  readonly folders: readonly string[];
  /** Links to a place outside the folder, or to nothing: not to be followed. */
  readonly outside: readonly string[];
}

/**
 * Lists a folder. Hidden entries (a dot first), devices and pipes are left out.
 *
 * @param within - The folder that links may not leave; default `path`.
 * @throws InputError when it is missing, no folder, or not readable.
 */
export async function listFolder(path: string, within = path): Promise<FolderListing> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a folder, found nothing`);
  if (!info.isDirectory()) throw new InputError(`${path}: expected a folder, found a file or device`);
  const entries = await readdir(path, { withFileTypes: true }).catch((error: Error) => {
    throw new InputError(`${path}: expected a readable folder, ${error.message}`);
  });
  const listing = { files: [] as string[], folders: [] as string[], outside: [] as string[] };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const place = entry.isSymbolicLink() ? await followInside(path, entry.name, within) : entry;
    if (!place) listing.outside.push(entry.name);
    else if (place.isFile()) listing.files.push(entry.name);
    else if (place.isDirectory()) listing.folders.push(entry.name);
  }
  return listing;
}

/** What a link leads to, or undefined when that is nothing or lies outside the folder. */
async function followInside(folder: string, name: string, within: string) {
  const target = await realpath(join(folder, name)).catch(() => undefined);
  return target !== undefined && (await allows(within, target)) ? stat(target) : undefined;
}

/**
 * The path of a file of a folder, whose links lead no further than they may: to places inside the folder and, from a snapshot of the
 * Hugging Face hub cache (`models--org--name/snapshots/<revision>`), into its own `blobs`.
 *
 * @param name - Path within the folder, from an untrusted file.
 * @returns The file's path, to be read; undefined where there is nothing.
 * @throws InputError when the name or a link leaves the folder, or a link leads to nothing.
 */
export async function locateInside(folder: string, name: string): Promise<string | undefined> {
  resolveInside(folder, name);
  const path = join(folder, name);
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined) {
    if (!(await lstat(path).catch(() => undefined))) return undefined;
    throw new InputError(`${path}: expected a file, found a link to nothing`);
  }
  if (!(await allows(folder, target))) {
    throw new InputError(`${path}: expected a file inside this folder, found a link out of it; copy what it leads to`);
  }
  return path;
}

/** Whether what a folder's link leads to belongs to the folder. */
async function allows(folder: string, target: string): Promise<boolean> {
  const root = await realpath(folder);
  if (isWithin(root, target)) return true;
  const [revisions, repository] = [dirname(root), dirname(dirname(root))];
  const isSnapshot = basename(revisions) === 'snapshots' && /^(models|datasets)--./.test(basename(repository));
  return isSnapshot && isWithin(join(repository, 'blobs'), target);
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Whether a path, which need not exist, is a folder (or file) or lies below it, links followed. */
export async function liesWithin(folder: string, path: string): Promise<boolean> {
  const root = await realpath(resolve(folder)).catch(() => undefined);
  if (root === undefined) return false;
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const found = await realpath(at).catch(() => undefined);
    if (found !== undefined) return isWithin(root, join(found, ...missing));
    if (at === dirname(at)) return false;
    missing.unshift(basename(at));
  }
}
