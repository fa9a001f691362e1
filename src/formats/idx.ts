import { InputError } from '../registry/index.js';
import { readMaybeGzip } from './gzip.js';

/** Largest IDX file that is read, decompressed: 2 GiB; MNIST's has 47 MB. */
const MAX_BYTES = 2 ** 31 - 1;

/** Third byte of the magic number: elements are unsigned bytes. */
const UNSIGNED_BYTE = 0x08;

/** The content of an IDX file of unsigned bytes: labels or images. */
export interface IdxFile {
  /** `[size]` for labels, `[size, height, width]` for images, with one more where these have channels; none is 0. */
  readonly shape: readonly number[];
  /** The elements, row-major: a view of the file's bytes. */
  readonly data: Uint8Array;
}

/**
 * Parses an IDX file (the format of MNIST) of unsigned bytes, of one dimension (labels), three (images) or four (images
 * with channels).
 *
 * @param bytes - The whole file, decompressed.
 * @param source - Its name, for messages.
 * @throws InputError when it is anything else, or its length is not what its header says.
 */
export function parseIdx(bytes: Uint8Array, source: string): IdxFile {
  const { shape, start, length } = readHeader(bytes, source);
  if (bytes.length !== length) {
    throw new InputError(
      `${source}: expected ${length} bytes for unsigned bytes of shape [${shape}], found ${bytes.length}`,
    );
  }
  return { shape, data: bytes.subarray(start) };
}

/**
 * Reads an IDX file, decompressed when it is gzip. The header is checked before anything of the size it claims is
 * allocated.
 *
 * @param options - `maxBytes`: largest file, decompressed; default 2 GiB.
 * @throws InputError when the file is missing, too large or malformed.
 */
export async function readIdx(path: string, { maxBytes = MAX_BYTES }: { maxBytes?: number } = {}): Promise<IdxFile> {
  const bytes = await readMaybeGzip(path, maxBytes, (head) => {
    const { shape, length } = readHeader(head, path);
    if (length > maxBytes) {
      throw new InputError(`${path}: expected at most ${maxBytes} bytes, its header says ${length} ([${shape}])`);
    }
    return length;
  });
  return parseIdx(bytes, path);
}

function readHeader(bytes: Uint8Array, source: string): { shape: number[]; start: number; length: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw new InputError(`${source}: expected an IDX header, found ${bytes.length} bytes`);
  const magic = view.getUint32(0);
  const rank = magic & 0xff;
  if (magic >>> 8 !== UNSIGNED_BYTE || ![1, 3, 4].includes(rank)) {
    const found = `0x${magic.toString(16).padStart(8, '0')}`;
    throw new InputError(
      `${source}: expected an IDX file, magic 0x00000801 (labels) or 0x00000803 (images), 0x00000804 with channels, found ${found}`,
    );
  }
  const start = 4 + 4 * rank;
  if (bytes.length < start) {
    throw new InputError(`${source}: expected an IDX header of ${start} bytes, found ${bytes.length} bytes`);
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (shape.includes(0)) throw new InputError(`${source}: expected no empty dimension, found [${shape}]`);
  return { shape, start, length: start + shape.reduce((product, length) => product * length, 1) };
}
