import { type FileHandle, open, stat } from 'node:fs/promises';
import { InputError } from '../registry/index.js';
import type { StoredTensor } from './dtypes.js';
import { FOREIGN_BYTES } from './foreign.js';
import {
  type HeaderEntry,
  type HeaderMetadata,
  headerLength,
  MAX_HEADER_BYTES,
  parseHeader,
} from './safetensors-header.js';

/** Largest safetensors file that is read unless told otherwise: 16 GiB. */
const MAX_FILE_BYTES = 16 * 2 ** 30;

/** Tensors are read in pieces of so many bytes; a multiple of every element's size. */
const PIECE_BYTES = 2 ** 20;

/** Limits on what is read from untrusted files. */
export interface SafetensorsLimits {
  /** Largest file in bytes (default 16 GiB). */
  maxBytes?: number;
  /** Largest header in bytes (default 100,000,000, as the reference). */
  maxHeaderBytes?: number;
}

/** A safetensors file whose header has been read; the tensors lie on the disk. No handle is kept open. */
export interface TensorFile extends HeaderMetadata {
  /** Where it lies. */
  readonly path: string;
  /** In the order of their data. */
  readonly entries: readonly HeaderEntry[];
  /** Where the data begins. */
  readonly start: number;
  /** Tells the file whose header this is from one that took its place. */
  readonly identity: string;
}

/**
 * Reads and checks the header of a safetensors file.
 *
 * @throws InputError when the file is missing, too large, or malformed in any way; what is known to be another format is named.
 */
export async function openTensorFile(
  path: string,
  { maxBytes = MAX_FILE_BYTES, maxHeaderBytes = MAX_HEADER_BYTES }: SafetensorsLimits = {},
): Promise<TensorFile> {
  // Before opening, because opening a named pipe waits for its writer.
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file, found nothing`);
  if (!info.isFile()) throw new InputError(`${path}: expected a regular file, found a folder or device`);
  const handle = await openFile(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new InputError(`${path}: expected at most ${maxBytes} bytes, found ${size}`);
    const prefix = new Uint8Array(Math.min(FOREIGN_BYTES, size));
    await readInto(handle, 0, prefix, path);
    const header = allocate(headerLength(prefix, size, path, maxHeaderBytes), path);
    await readInto(handle, 8, header, path);
    const start = 8 + header.length;
    return { path, start, identity: await identityOf(handle), ...parseHeader(header, size - start, path) };
  } finally {
    await handle.close();
  }
}

/** The tensors of a file one after another, each in memory of its own; the file is open while the loop runs. */
export async function* tensorsOf(file: Omit<TensorFile, keyof HeaderMetadata>): AsyncGenerator<StoredTensor> {
  const handle = await reopen(file);
  try {
    for (const entry of file.entries) yield await readEntry(handle, file, entry);
  } finally {
    await handle.close();
  }
}

/** One tensor of a file. */
export async function readTensor(file: TensorFile, entry: HeaderEntry): Promise<StoredTensor> {
  const handle = await reopen(file);
  try {
    return await readEntry(handle, file, entry);
  } finally {
    await handle.close();
  }
}

/**
 * Reads one tensor piece by piece into one small buffer, so that its bytes are never in memory together.
 *
 * @param onPiece - Sees the stored bytes in their order, whole elements; `offset` is of their first in the tensor. Each piece
 *   is overwritten when it returns.
 */
export async function readPieces(
  file: TensorFile,
  entry: HeaderEntry,
  onPiece: (piece: Uint8Array, offset: number) => void,
): Promise<void> {
  const handle = await reopen(file);
  try {
    const length = entry.end - entry.begin;
    const buffer = new Uint8Array(Math.min(length, PIECE_BYTES));
    for (let offset = 0; offset < length; offset += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, length - offset));
      await readInto(handle, file.start + entry.begin + offset, piece, file.path);
      onPiece(piece, offset);
    }
  } finally {
    await handle.close();
  }
}

async function readEntry(
  handle: FileHandle,
  { path, start }: Pick<TensorFile, 'path' | 'start'>,
  { name, dtype, shape, begin, end }: HeaderEntry,
): Promise<StoredTensor> {
  const bytes = allocate(end - begin, path);
  await readInto(handle, start + begin, bytes, path);
  return { name, dtype, shape, bytes };
}

async function openFile(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: Error) => {
    throw new InputError(`${path}: expected a readable file, ${error.message}`);
  });
}

/** Opens a file again for its data. */
async function reopen({ path, identity }: Pick<TensorFile, 'path' | 'identity'>): Promise<FileHandle> {
  const handle = await openFile(path);
  if ((await identityOf(handle)) === identity) return handle;
  await handle.close();
  throw new InputError(`${path}: expected the file whose header was read, it was changed or replaced meanwhile`);
}

async function identityOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeMs } = await handle.stat();
  return [dev, ino, size, mtimeMs].join(' ');
}

/** Fills a buffer from a place in a file. */
async function readInto(file: FileHandle, position: number, bytes: Uint8Array, path: string): Promise<void> {
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

function allocate(length: number, path: string): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new InputError(`${path}: expected memory for ${length} bytes in one piece, found none`, { cause: error });
  }
}
