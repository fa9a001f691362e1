import type { StoredTensor } from './dtypes.js';
import { FOREIGN_BYTES } from './foreign.js';
import { allocate, type KnownFile, lookInto, readInto, reopen } from './known-file.js';
import {
  type HeaderEntry,
  type HeaderMetadata,
  headerLength,
  MAX_HEADER_BYTES,
  parseHeader,
} from './safetensors-header.js';
import { MAX_FILE_BYTES, PIECE_BYTES, type TensorSource } from './tensor-source.js';

/** Limits on what is read from untrusted files. */
export interface SafetensorsLimits {
  /** Largest file in bytes (default 16 GiB). */
  maxBytes?: number;
  /** Largest header in bytes (default 100,000,000, as the reference). */
  maxHeaderBytes?: number;
}

/** A safetensors file whose header has been read; the tensors lie on the disk. */
export interface TensorFile extends HeaderMetadata, KnownFile {
  /** In the order of their data. */
  readonly entries: readonly HeaderEntry[];
  /** Where the data begins. */
  readonly start: number;
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
  return lookInto(path, maxBytes, async (handle, size, file) => {
    const prefix = new Uint8Array(Math.min(FOREIGN_BYTES, size));
    await readInto(handle, 0, prefix, path);
    const header = allocate(headerLength(prefix, size, path, maxHeaderBytes), path);
    await readInto(handle, 8, header, path);
    const start = 8 + header.length;
    return { ...file, start, ...parseHeader(header, size - start, path) };
  });
}

/** A safetensors file as {@link TensorSource}; errors as {@link openTensorFile}. */
export async function openSafetensors(path: string, limits: SafetensorsLimits): Promise<TensorSource> {
  const file = await openTensorFile(path, limits);
  const { entries, start, metadata, metadataKeys } = file;
  return {
    path,
    metadata,
    ...(metadataKeys && { metadataKeys }),
    tensors: entries.map(({ name, dtype, shape, begin, end }) => ({
      header: { name, dtype, shape },
      pieces: (onPiece) =>
        reopen(file, async (handle) => {
          const length = end - begin;
          const buffer = new Uint8Array(Math.min(length, PIECE_BYTES));
          for (let offset = 0; offset < length; offset += buffer.length) {
            const piece = buffer.subarray(0, Math.min(buffer.length, length - offset));
            await readInto(handle, start + begin + offset, piece, path);
            onPiece(piece, offset);
          }
        }),
    })),
  };
}

/** All tensors of a file, each in memory of its own. */
export async function readTensors(file: TensorFile): Promise<StoredTensor[]> {
  return reopen(file, async (handle) => {
    const tensors: StoredTensor[] = [];
    for (const { name, dtype, shape, begin, end } of file.entries) {
      const bytes = allocate(end - begin, file.path);
      await readInto(handle, file.start + begin, bytes, file.path);
      tensors.push({ name, dtype, shape, bytes });
    }
    return tensors;
  });
}
