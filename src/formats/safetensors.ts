import { InputError, quote } from '../registry/index.js';
import { type StoredTensor, storedByteLength, type TensorHeader } from './dtypes.js';
import { writeFileAtomic } from './files.js';
import {
  encodeHeader,
  type HeaderMetadata,
  headerLength,
  MAX_HEADER_BYTES,
  parseHeader,
} from './safetensors-header.js';
import { openTensorFile, readTensors, type SafetensorsLimits } from './tensor-file.js';

/** Largest single write: some systems take no more at once. */
const WRITE_BYTES = 2 ** 30;

/** The content of a safetensors file. */
export interface SafetensorsFile<Tensor extends TensorHeader = StoredTensor> extends HeaderMetadata {
  /** In the order of their data, which is the order they are written in. */
  tensors: Tensor[];
}

/** A tensor to be written whose bytes are asked for when their turn comes, so that only one tensor's are in memory. */
export interface PendingTensor extends TensorHeader {
  /** Gives as many bytes as dtype and shape ask for. */
  read(): Uint8Array | Promise<Uint8Array>;
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
  const tensors = entries.map(({ name, dtype, shape, begin, end }) => ({
    name,
    dtype,
    shape,
    bytes: data.subarray(begin, end),
  }));
  return { tensors, ...metadata };
}

/**
 * Reads a safetensors file whole. The header is read and checked before memory for the data is allocated. For large files
 * there is `openTensors`.
 *
 * @param path - The file.
 * @throws InputError when the file is missing, too large, or malformed in any way; what is known to be another format is named.
 * @example
 * const { tensors, metadata } = await readSafetensors('model.safetensors');
 */
export async function readSafetensors(path: string, limits: SafetensorsLimits = {}): Promise<SafetensorsFile> {
  const file = await openTensorFile(path, limits);
  const { metadata, metadataKeys } = file;
  return { tensors: await readTensors(file), metadata, metadataKeys };
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
 * Writes a safetensors file at once or not at all, without a second copy of the tensors in memory; of pending tensors,
 * without more than one of them.
 *
 * A file that the reference wrote comes out byte for byte when it is read and written unchanged.
 *
 * @throws InputError as {@link encodeSafetensors}; then nothing is written.
 */
export async function writeSafetensors(
  path: string,
  file: SafetensorsFile<StoredTensor | PendingTensor>,
): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(file, path));
}

/**
 * The bytes of a safetensors file in pieces, for `replaceFiles`: the header, which types and shapes decide, and then the
 * tensors, each asked for its bytes when its turn comes.
 *
 * @param source - Its name, for messages.
 * @throws InputError as {@link encodeSafetensors}, at once; for a pending tensor of another size when it comes.
 */
export function safetensorsChunks(
  file: SafetensorsFile<StoredTensor | PendingTensor>,
  source: string,
): AsyncIterable<Uint8Array> {
  return pieces(encodeHeader(file.tensors, file, source), file.tensors, source);
}

async function* pieces(
  header: Uint8Array,
  tensors: readonly (StoredTensor | PendingTensor)[],
  source: string,
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const tensor of tensors) {
    const bytes = 'bytes' in tensor ? tensor.bytes : await tensor.read();
    const { name, dtype, shape } = tensor;
    if (bytes.length !== storedByteLength(dtype, shape)) {
      throw new InputError(
        `${source}: tensor ${quote(name)}: expected ${storedByteLength(dtype, shape)} bytes for ${dtype} [${shape}], found ${bytes.length}`,
      );
    }
    for (let begin = 0; begin < bytes.length; begin += WRITE_BYTES) yield bytes.subarray(begin, begin + WRITE_BYTES);
  }
}
