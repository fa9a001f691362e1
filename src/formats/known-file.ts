import { type FileHandle, open, stat } from 'node:fs/promises';
import { InputError } from '../registry/index.js';

/** A file that has been looked at; no handle to it is kept open. */
export interface KnownFile {
  /** Where it lies. */
  readonly path: string;
  /** Tells the file that was looked at from one that took its place. */
  readonly identity: string;
}

/**
 * Opens a file of at most so many bytes for a first look.
 *
 * @param look - Reads what it needs; the file is closed when it is done.
 * @throws InputError when there is no regular file, or one that is too large or cannot be read.
 */
export async function lookInto<T>(
  path: string,
  maxBytes: number,
  look: (handle: FileHandle, size: number, file: KnownFile) => Promise<T>,
): Promise<T> {
  // Before opening, because opening a named pipe waits for its writer.
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file, found nothing`);
  if (!info.isFile()) throw new InputError(`${path}: expected a regular file, found a folder or device`);
  const handle = await openFile(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new InputError(`${path}: expected at most ${maxBytes} bytes, found ${size}`);
    return await look(handle, size, { path, identity: await identityOf(handle) });
  } finally {
    await handle.close();
  }
}

/**
 * Opens a file again for its data.
 *
 * @throws InputError when it is not the file that was looked at.
 */
export async function reopen<T>({ path, identity }: KnownFile, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openFile(path);
  try {
    if ((await identityOf(handle)) === identity) return await use(handle);
  } finally {
    await handle.close();
  }
  throw new InputError(`${path}: expected the file whose header was read, it was changed or replaced meanwhile`);
}

async function openFile(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: Error) => {
    throw new InputError(`${path}: expected a readable file, ${error.message}`);
  });
}

async function identityOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeMs } = await handle.stat();
  return [dev, ino, size, mtimeMs].join(' ');
}

/** Fills a buffer from a place in a file. */
export async function readInto(file: FileHandle, position: number, bytes: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    // Reads above 2 GiB fail on some systems.
    const wanted = Math.min(bytes.length - done, 2 ** 30);
    const { bytesRead } = await file.read(bytes, done, wanted, position + done);
    if (bytesRead === 0) {
      throw new InputError(`${path}: expected ${bytes.length} bytes at ${position}, the file ended early`);
    }
    done += bytesRead;
  }
}

/** Memory for what is read from a file. */
export function allocate(length: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new InputError(`${path}: expected memory for ${length} bytes in one piece, found none`, { cause: error });
  }
}
