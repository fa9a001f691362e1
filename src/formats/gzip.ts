import { constants, gunzipSync } from 'node:zlib';
import { InputError } from '../registry/index.js';
import { readFileCapped } from './files.js';

/** Bytes of a compressed file that are decompressed for its head: deflate makes at most a thousand times as many of them. */
const HEAD_BYTES = 1024;

/** Whether a file's content, whatever its name, is gzip. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Reads a whole file, decompressed when its content is gzip.
 *
 * @param path - The file.
 * @param maxBytes - Largest file, compressed or not.
 * @param lengthOf - Where a file's own head says how long it is: that length, from its first bytes (fewer for a short
 *   file). It is asked before the rest is decompressed, and more than it says is an error.
 * @throws InputError when the file is missing, too large or damaged.
 */
export async function readMaybeGzip(
  path: string,
  maxBytes: number,
  lengthOf: (head: Uint8Array) => number = () => maxBytes,
): Promise<Uint8Array> {
  const stored = await readFileCapped(path, maxBytes);
  if (!isGzip(stored)) return stored;
  const head = inflate(path, stored.subarray(0, HEAD_BYTES), maxBytes, constants.Z_SYNC_FLUSH);
  return inflate(path, stored, lengthOf(head), constants.Z_FINISH);
}

function inflate(path: string, stored: Uint8Array, limit: number, finishFlush: number): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = gunzipSync(stored, { maxOutputLength: limit, finishFlush });
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new InputError(`${path}: expected at most ${limit} bytes when decompressed, found more`);
    }
    throw new InputError(`${path}: expected gzip data, ${error instanceof Error ? error.message : String(error)}`);
  }
}
