import type { FileHandle } from 'node:fs/promises';
import { InputError, quote } from '../../registry/index.js';
import { DTYPE_BYTES, storedByteLength } from '../dtypes.js';
import { allocate, type KnownFile, lookInto, readInto, reopen } from '../known-file.js';
import { MAX_FILE_BYTES, PIECE_BYTES, type TensorSource } from '../tensor-source.js';
import { BLOCK_FORMATS, type BlockFormat, OTHER_TYPES } from './blocks.js';
import { type Change, renameTensors } from './families.js';
import { type GgufHeader, type GgufTensor, type GgufValue, MAX_HEADER_BYTES, parseGgufHeader } from './header.js';
import { undone } from './undo.js';

export { type GgufValue, requireCount } from './header.js';

/** Bytes of a header that are read at first; vocabularies make most larger. */
const FIRST_BYTES = 2 ** 20;

/** A tensor in the file and how its values are found. */
interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: BlockFormat;
  /** Where its first block begins in the file. */
  readonly begin: number;
  readonly change: Change;
}

/** What a GGUF file says of its model: the metadata of its header, and the names of its tensors as they stand there. */
export async function readGgufMetadata(
  path: string,
): Promise<{ metadata: ReadonlyMap<string, GgufValue>; names: ReadonlySet<string> }> {
  return lookInto(path, Number.MAX_SAFE_INTEGER, async (handle, size) => {
    const { metadata, tensors } = await readHeader(handle, size, path);
    return { metadata, names: new Set(tensors.map(({ name }) => name)) };
  });
}

/**
 * Opens a GGUF file of llama.cpp: its tensors under the names, with the shapes and in the order of rows of transformers, quantized
 * ones as float32.
 *
 * @throws InputError when it is malformed, of an architecture or a type that is not read, or one part of several.
 */
export async function openGguf(
  path: string,
  { maxBytes = MAX_FILE_BYTES }: { maxBytes?: number } = {},
): Promise<TensorSource> {
  return lookInto(path, maxBytes, async (handle, size, file) => {
    const header = await readHeader(handle, size, path);
    const parts = header.metadata.get('split.count');
    if (typeof parts === 'number' && parts > 1) {
      throw new InputError(
        `${path}: expected a whole model, found one of ${parts} parts; put them together with llama-gguf-split --merge`,
      );
    }
    checkLayout(header, size, path);
    const renamed = renameTensors(header, path);
    const places = header.tensors.flatMap((tensor, index): Place | readonly [] => {
      const own = renamed[index];
      if (own === undefined) return [];
      const { name, change } = own;
      const shape = change.kind === 'transposed' ? [...tensor.shape].reverse() : tensor.shape;
      return { name, shape, change, format: formatOf(tensor, path), begin: header.start + tensor.offset };
    });
    for (const place of places) checkChange(place, path);
    requireOwnNames(places, path);
    // In the order of their data, whatever that of the header.
    places.sort((a, b) => a.begin - b.begin);
    return {
      path,
      metadata: {},
      tensors: places.map((place) => ({
        header: { name: place.name, dtype: place.format.dtype, shape: place.shape },
        pieces: (onPiece) => readPlace(file, place, onPiece),
      })),
    };
  });
}

async function readHeader(handle: FileHandle, size: number, path: string): Promise<GgufHeader> {
  const most = Math.min(size, MAX_HEADER_BYTES);
  for (let length = Math.min(FIRST_BYTES, most); ; length = Math.min(4 * length, most)) {
    const bytes = allocate(length, path);
    await readInto(handle, 0, bytes, path);
    const header = parseGgufHeader(bytes, path);
    if (header) return header;
    if (length < most) continue;
    const limit = most < size ? `of at most ${MAX_HEADER_BYTES} bytes` : `within the file's ${size} bytes`;
    throw new InputError(`${path}: expected a GGUF header ${limit}, found one that goes on`);
  }
}

function formatOf({ name, type }: GgufTensor, path: string): BlockFormat {
  const format = Object.hasOwn(BLOCK_FORMATS, type) ? BLOCK_FORMATS[type] : undefined;
  if (format) return format;
  const known = Object.values(BLOCK_FORMATS).map((each) => each.name);
  const found = OTHER_TYPES[type] ?? `type ${type}`;
  throw new InputError(`${path}: tensor ${quote(name)}: expected a type of ${known.join(', ')}, found ${found}`);
}

/** Every tensor begins where the one before it ends, aligned, as ggml demands; so none reads another's data. */
function checkLayout({ tensors, alignment, start }: GgufHeader, size: number, path: string): void {
  let expected = 0;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    const fail = (wanted: string, found: string) =>
      new InputError(`${path}: tensor ${quote(tensor.name)}: expected ${wanted}, found ${found}`);
    const { name, elements, bytes, dtype } = formatOf(tensor, path);
    const { shape, offset } = tensor;
    const row = shape.at(-1) ?? 1;
    if (row % elements !== 0) throw fail(`rows of whole blocks of ${elements} for ${name}`, `[${shape}]`);
    // The size of the values bounds that of the blocks.
    const length = storedByteLength(dtype, shape);
    if (length === undefined) throw fail('a size of at most 2^53 - 1 bytes', `${name} [${shape}]`);
    if (offset !== expected) throw fail(`data at ${expected}, where the tensor before it ends`, `at ${offset}`);
    const end = offset + (length / DTYPE_BYTES[dtype] / elements) * bytes;
    if (start + end > size) throw fail(`data within the file's ${size} bytes`, `an end at ${start + end}`);
    expected = Math.ceil(end / alignment) * alignment;
  }
}

function checkChange({ name, shape, change, format }: Place, path: string): void {
  const fail = (expected: string, found: string) =>
    new InputError(`${path}: tensor ${quote(name)}: expected ${expected}, found ${found}`);
  if (change.kind === 'interleaved' && (shape[0] ?? 1) % (2 * change.heads) !== 0) {
    throw fail(`rows that ${change.heads} heads share in pairs`, `[${shape}]`);
  }
  if (change.kind === 'transposed' && shape.length !== 2) throw fail('a matrix', `[${shape}]`);
  if (change.kind === 'plus-one' && format.dtype !== 'F32') throw fail('float32 values', format.name);
}

function requireOwnNames(places: readonly Place[], path: string): void {
  const seen = new Set<string>();
  for (const { name } of places) {
    if (seen.has(name)) throw new InputError(`${path}: expected one tensor that is ${quote(name)}, found two`);
    seen.add(name);
  }
}

/** Reads a tensor in units within which its change can be undone: about a megabyte, one head, or a whole matrix. */
async function readPlace(
  file: KnownFile,
  { shape, format, begin, change }: Place,
  onPiece: (piece: Uint8Array, offset: number) => void,
): Promise<void> {
  const count = shape.reduce((product, length) => product * length, 1);
  if (count === 0) return;
  const { elements, bytes, dtype, dequantize } = format;
  const width = DTYPE_BYTES[dtype];
  const unit =
    change.kind === 'transposed' ? count : change.kind === 'interleaved' ? count / change.heads : PIECE_BYTES / width;
  const most = Math.min(unit, count);
  // Rows are whole blocks, and so is a unit: heads are rows, and a megabyte is a multiple of every block.
  const blocks = dequantize ? allocate((most / elements) * bytes, file.path) : undefined;
  const values = allocate(most * width, file.path);
  await reopen(file, async (handle) => {
    for (let first = 0; first < count; first += most) {
      const length = Math.min(most, count - first);
      const stored = (blocks ?? values).subarray(0, (length / elements) * bytes);
      await readInto(handle, begin + (first / elements) * bytes, stored, file.path);
      const piece = values.subarray(0, length * width);
      if (dequantize) {
        const numbers = new Float32Array(piece.buffer, piece.byteOffset, length);
        for (let at = 0; at < length; at += elements) dequantize(stored, (at / elements) * bytes, numbers, at);
      }
      onPiece(undone(piece, change, shape, width), first * width);
    }
  });
}
