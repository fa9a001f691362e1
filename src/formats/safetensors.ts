import { type FileHandle, open, stat } from 'node:fs/promises';
import { InputError } from '../registry/index.js';
import type { StoredTensor } from './dtypes.js';
import { writeFileAtomic } from './files.js';
import { FOREIGN_BYTES } from './foreign.js';
import { encodeHeader, type HeaderEntry, headerLength, MAX_HEADER_BYTES, parseHeader } from './safetensors-header.js';

/** Largest file that {@link readSafetensors} reads unless told otherwise: 16 GiB. */
const MAX_FILE_BYTES = 16 * 2 ** 30;

/** Largest shared buffer, one read and one write: Node 20 refuses arrays above 4 GiB, and reads above 2 GiB. */
const BUFFER_BYTES = 2 ** 30;

/** The content of a safetensors file. */
export interface SafetensorsFile {
  /** In the order of their data, which is the order they are written in. */
  tensors: StoredTensor[];
  /** The header's `__metadata__`; an object without prototype when it was read from a file. */
  metadata: Record<string, string>;
  /**
   * The keys of `__metadata__` in the file's order; `undefined` when the file had none, `[]` when it was empty.
   * A JavaScript object moves keys like "10" to the front, so this is what keeps a rewritten file's bytes the same.
   */
  metadataKeys?: readonly string[];
}

/** Limits on what is read from untrusted files, and on the memory it lies in. */
export interface SafetensorsLimits {
  /** Largest file in bytes (default 16 GiB). */
  maxBytes?: number;
  /** Largest header in bytes (default 100,000,000, as the reference). */
  maxHeaderBytes?: number;
  /** Tensors read from disk share buffers of up to this size (default 1 GiB); a larger tensor has its own. */
  bufferBytes?: number;
}

/**
 * Parses a safetensors file in memory. Allocates for the header only: tensors are views into `bytes`.
 *
 * @param bytes - The whole file.
 * @param source - Its name, for messages.
 * @throws InputError when the file is malformed in any way.
 */
export function parseSafetensors(
  bytes: Uint8Array,
  source: string,
  { maxHeaderBytes = MAX_HEADER_BYTES }: Pick<SafetensorsLimits, 'maxHeaderBytes'> = {},
): SafetensorsFile {
  const start = 8 + headerLength(bytes, bytes.length, source, maxHeaderBytes);
  const { entries, ...metadata } = parseHeader(bytes.subarray(8, start), bytes.length - start, source);
  const data = bytes.subarray(start);
  return { tensors: entries.map((entry) => tensorOf(entry, data.subarray(entry.begin, entry.end))), ...metadata };
}

/**
 * Reads a safetensors file. The header is read and checked before memory for the data is allocated; tensors are views
 * into shared buffers.
 *
 * @param path - The file.
 * @throws InputError when the file is missing, too large, or malformed in any way; what is known to be another format is named.
 * @example
 * const { tensors, metadata } = await readSafetensors('model.safetensors');
 */
export async function readSafetensors(
  path: string,
  { maxBytes = MAX_FILE_BYTES, maxHeaderBytes = MAX_HEADER_BYTES, bufferBytes = BUFFER_BYTES }: SafetensorsLimits = {},
): Promise<SafetensorsFile> {
  // Before opening, because opening a named pipe waits for its writer.
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file, found nothing`);
  if (!info.isFile()) throw new InputError(`${path}: expected a regular file, found a folder or device`);
  const file = await open(path, 'r').catch((error: Error) => {
    throw new InputError(`${path}: expected a readable file, ${error.message}`);
  });
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new InputError(`${path}: expected at most ${maxBytes} bytes, found ${size}`);
    const prefix = await readAt(file, 0, Math.min(FOREIGN_BYTES, size), path);
    const length = headerLength(prefix, size, path, maxHeaderBytes);
    const start = 8 + length;
    const { entries, ...metadata } = parseHeader(await readAt(file, 8, length, path), size - start, path);
    const tensors: StoredTensor[] = [];
    for (const group of groupEntries(entries, bufferBytes)) {
      const first = group[0].begin;
      const data = await readAt(file, start + first, group[group.length - 1].end - first, path);
      for (const entry of group) tensors.push(tensorOf(entry, data.subarray(entry.begin - first, entry.end - first)));
    }
    return { tensors, ...metadata };
  } finally {
    await file.close();
  }
}

/**
 * The bytes of a safetensors file, tensors in the order given.
 *
 * @throws InputError when a name is taken twice or is no valid text, or a tensor's bytes do not fit its shape.
 */
export function encodeSafetensors(file: SafetensorsFile): Uint8Array {
  const header = encodeHeader(file.tensors, file, 'safetensors file');
  const bytes = new Uint8Array(file.tensors.reduce((sum, tensor) => sum + tensor.bytes.length, header.length));
  let offset = 0;
  for (const part of [header, ...file.tensors.map((tensor) => tensor.bytes)]) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/**
 * Writes a safetensors file at once or not at all, without a second copy of the tensors in memory.
 *
 * A file that the reference wrote comes out byte for byte when it is read and written unchanged.
 *
 * @throws InputError as {@link encodeSafetensors}; then nothing is written.
 */
export async function writeSafetensors(path: string, file: SafetensorsFile): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(file, path));
}

/**
 * The bytes of a safetensors file in pieces, for `replaceFiles`, without a second copy of the tensors in memory.
 *
 * @param source - Its name, for messages.
 * @throws InputError as {@link encodeSafetensors}, at once.
 */
export function safetensorsChunks(file: SafetensorsFile, source: string): Iterable<Uint8Array> {
  return pieces(encodeHeader(file.tensors, file, source), file.tensors);
}

function* pieces(header: Uint8Array, tensors: readonly StoredTensor[]): Generator<Uint8Array> {
  yield header;
  for (const { bytes } of tensors) {
    for (let begin = 0; begin < bytes.length; begin += BUFFER_BYTES) yield bytes.subarray(begin, begin + BUFFER_BYTES);
  }
}

function tensorOf({ name, dtype, shape }: HeaderEntry, bytes: Uint8Array): StoredTensor {
  return { name, dtype, shape, bytes };
}

/** Runs of neighbouring tensors that fit one buffer; a tensor too large for that gets its own. */
function* groupEntries(entries: readonly HeaderEntry[], bufferBytes: number): Generator<readonly HeaderEntry[]> {
  let first = 0;
  for (let i = 1; i <= entries.length; i++) {
    if (i < entries.length && entries[i].end - entries[first].begin <= bufferBytes) continue;
    yield entries.slice(first, i);
    first = i;
  }
}

async function readAt(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = allocate(length, path);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, BUFFER_BYTES), position + done);
    if (bytesRead === 0) throw new InputError(`${path}: expected ${length} bytes at ${position}, the file ended early`);
    done += bytesRead;
  }
  return bytes;
}

function allocate(length: number, path: string): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new InputError(`${path}: expected memory for ${length} bytes in one piece, found none`, { cause: error });
  }
}
