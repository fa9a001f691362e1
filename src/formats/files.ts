import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { InputError } from './errors.js';

/**
 * Writes a file so that a reader sees the old content or the new, never a part: temporary file, fsync, rename.
 *
 * @param path - Target; missing folders are created.
 * @param content - Text, bytes, or chunks of bytes written one after another.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      if (typeof content === 'string') await writeAll(file, new TextEncoder().encode(content));
      else if (content instanceof Uint8Array) await writeAll(file, content);
      else for (const chunk of content) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    offset += (await file.write(bytes, offset, bytes.length - offset)).bytesWritten;
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
 * @throws InputError when it is missing, no folder, or not readable.
 */
export async function listFolder(path: string): Promise<FolderListing> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a folder, found nothing`);
  if (!info.isDirectory()) throw new InputError(`${path}: expected a folder, found a file or device`);
  const entries = await readdir(path, { withFileTypes: true }).catch((error: Error) => {
    throw new InputError(`${path}: expected a readable folder, ${error.message}`);
  });
  const listing = { files: [] as string[], folders: [] as string[], outside: [] as string[] };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const place = entry.isSymbolicLink() ? await followInside(path, entry.name) : entry;
    if (!place) listing.outside.push(entry.name);
    else if (place.isFile()) listing.files.push(entry.name);
    else if (place.isDirectory()) listing.folders.push(entry.name);
  }
  return listing;
}

/** What a link leads to, or undefined when that is nothing or lies outside the folder. */
async function followInside(folder: string, name: string) {
  const target = await realpath(join(folder, name)).catch(() => undefined);
  if (!target?.startsWith((await realpath(folder)) + sep)) return undefined;
  return stat(target);
}
