import { InputError, quote } from '../registry/index.js';
import { type StoredTensor, storedByteLength, type TensorHeader } from './dtypes.js';
import { type PlacedBytes, writeFileAtomic } from './files.js';
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

/** The bytes of a tensor of a file whose header says what it is. */
export interface TensorBytes {
  /** Its name there. */
  readonly name: string;
  /** As many as dtype and shape ask for. */
  readonly bytes: Uint8Array;
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
    requireSize(tensor, bytes, source);
    for (let begin = 0; begin < bytes.length; begin += WRITE_BYTES) yield bytes.subarray(begin, begin + WRITE_BYTES);
  }
}

/**
 * The bytes of a safetensors file whose tensors come in any order: each is written to its place as it comes, so that those that are
 * made together need not be neighbours.
 *
 * @param file - What the file will hold, in the order of the data.
 * @param source - Its name, for messages.
 * @param tensors - Each of them, once.
 * @throws InputError as {@link encodeSafetensors}, at once; for a tensor of another size when it comes.
 */
export function placedSafetensors(
  file: SafetensorsFile<TensorHeader>,
  source: string,
  tensors: AsyncIterable<TensorBytes>,
): AsyncIterable<Uint8Array | PlacedBytes> {
  return placed(encodeHeader(file.tensors, file, source), file.tensors, { source, tensors });
}

async function* placed(
  header: Uint8Array,
  headers: readonly TensorHeader[],
  { source, tensors }: { source: string; tensors: AsyncIterable<TensorBytes> },
): AsyncGenerator<Uint8Array | PlacedBytes> {
  yield header;
  const places = new Map<string, { at: number; tensor: TensorHeader }>();
  let end = header.length;
  for (const tensor of headers) {
    places.set(tensor.name, { at: end, tensor });
    end += storedByteLength(tensor.dtype, tensor.shape) ?? 0;
  }
  for await (const { name, bytes } of tensors) {
    const place = places.get(name);
    if (!place) throw new TypeError(`${source}: expected each tensor of the file once, got ${quote(name)}`);
    places.delete(name);
    requireSize(place.tensor, bytes, source);
    for (let begin = 0; begin < bytes.length; begin += WRITE_BYTES) {
      yield { at: place.at + begin, bytes: bytes.subarray(begin, begin + WRITE_BYTES) };
    }
  }
  const [missing] = places.keys();
  if (missing !== undefined) throw new TypeError(`${source}: expected the bytes of ${quote(missing)}, got none`);
}

function requireSize({ name, dtype, shape }: TensorHeader, bytes: Uint8Array, source: string): void {
  const size = storedByteLength(dtype, shape);
  if (bytes.length === size) return;
  throw new InputError(
    `${source}: tensor ${quote(name)}: expected ${size} bytes for ${dtype} [${shape}], found ${bytes.length}`,
  );
}
