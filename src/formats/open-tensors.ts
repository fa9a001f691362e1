import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError, quote } from '../registry/index.js';
import { DTYPE_BYTES, decodeInto, type StoredTensor, type TensorHeader } from './dtypes.js';
import { locateInside } from './files.js';
import type { HeaderEntry, HeaderMetadata } from './safetensors-header.js';
import { findWeights, INDEX, SINGLE } from './sharded.js';
import { openTensorFile, readPieces, readTensor, type TensorFile, tensorsOf } from './tensor-file.js';

const MAX_SHARDS = 1024;
const MAX_TOTAL_BYTES = 64 * 2 ** 30;

/** One file of a model's weights, of which the header has been read. */
export interface Shard extends HeaderMetadata {
  /** File name within the model's folder. */
  readonly name: string;
  /** Where it lies. */
  readonly path: string;
  /** In the order of their data. */
  readonly tensors: readonly TensorHeader[];
}

/** Limits on what {@link openTensors} reads. */
export interface TensorFilesLimits {
  /** Largest sum of all files in bytes (default 64 GiB). */
  maxBytes?: number;
  /** Largest number of shards (default 1,024). */
  maxShards?: number;
}

/**
 * A model's weights on the disk: all headers have been read and checked, tensors are read one at a time. Looped over, it
 * gives all of them, shard by shard. Files are open while one of them is read, and no longer.
 */
export class OpenTensors implements AsyncIterable<StoredTensor> {
  /** In the order the index first names them. */
  readonly shards: readonly Shard[];
  /** All tensors, shard by shard. */
  readonly headers: readonly TensorHeader[];
  readonly #files: readonly TensorFile[];
  readonly #places = new Map<string, { file: TensorFile; entry: HeaderEntry }>();

  /** @internal */
  constructor(files: readonly { name: string; file: TensorFile }[]) {
    this.#files = files.map(({ file }) => file);
    this.shards = files.map(({ name, file }) => {
      const { path, entries, metadata, metadataKeys } = file;
      const tensors = entries.map(({ name: tensor, dtype, shape }) => ({ name: tensor, dtype, shape }));
      for (const entry of entries) this.#places.set(entry.name, { file, entry });
      return { name, path, tensors, metadata, ...(metadataKeys && { metadataKeys }) };
    });
    this.headers = this.shards.flatMap(({ tensors }) => tensors);
  }

  /**
   * Reads one tensor.
   *
   * @throws InputError when there is none of that name, or the file has changed since its header was read.
   */
  async tensor(name: string): Promise<StoredTensor> {
    const { file, entry } = this.#place(name);
    return readTensor(file, entry);
  }

  /**
   * Reads one tensor piece by piece, its bytes never in memory together.
   *
   * @param onPiece - Sees the stored bytes in their order; each piece is overwritten when it returns.
   * @throws InputError as {@link tensor}.
   */
  async pieces(name: string, onPiece: (piece: Uint8Array) => void): Promise<void> {
    const { file, entry } = this.#place(name);
    await readPieces(file, entry, onPiece);
  }

  /**
   * Reads the float32 values of one tensor, piece by piece, so that its stored bytes are not in memory beside them.
   *
   * @param values - Receives them, as many as the shape has elements.
   * @param onPiece - Sees the stored bytes as well, as {@link pieces} gives them; for digests.
   * @throws InputError as {@link tensor}, and when a BOOL byte is neither 0 nor 1.
   */
  async values(name: string, values: Float32Array, onPiece?: (piece: Uint8Array) => void): Promise<void> {
    const { file, entry } = this.#place(name);
    await readPieces(file, entry, (piece, offset) => {
      onPiece?.(piece);
      decodeInto(values, offset / DTYPE_BYTES[entry.dtype], entry, piece);
    });
  }

  /** All tensors one after another, each in memory of its own. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StoredTensor> {
    for (const file of this.#files) yield* tensorsOf(file);
  }

  #place(name: string): { file: TensorFile; entry: HeaderEntry } {
    const place = this.#places.get(name);
    if (place) return place;
    const source = this.shards.map(({ path }) => path).join(', ');
    throw new InputError(`${source}: expected a tensor ${quote(name)}, found none`);
  }
}

/**
 * Opens a model's weights, a Hugging Face folder or a single file: reads and checks the headers, and then single tensors
 * when they are asked for.
 *
 * @param path - A folder with `model.safetensors`, or else `model.safetensors.index.json` and its shards; or the path of
 *   one safetensors file. As in transformers, the single file wins when a folder has both.
 * @throws InputError when files are missing or malformed, a name leaves the folder, or index and shards disagree.
 * @example
 * for await (const { name, shape } of await openTensors('all-MiniLM-L6-v2')) console.log(name, shape);
 */
export async function openTensors(
  path: string,
  { maxBytes = MAX_TOTAL_BYTES, maxShards = MAX_SHARDS }: TensorFilesLimits = {},
): Promise<OpenTensors> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a safetensors file or a folder with ${SINGLE}, found nothing`);
  if (!info.isDirectory()) return single(path, maxBytes);
  const { shardOf } = await findWeights(path);
  if (!shardOf) return single(join(path, SINGLE), maxBytes);
  return openShards(path, shardOf, maxBytes, maxShards);
}

async function single(path: string, maxBytes: number): Promise<OpenTensors> {
  return new OpenTensors([{ name: basename(path), file: await openTensorFile(path, { maxBytes }) }]);
}

async function openShards(
  folder: string,
  shardOf: ReadonlyMap<string, string>,
  maxBytes: number,
  maxShards: number,
): Promise<OpenTensors> {
  const source = join(folder, INDEX);
  const names = [...new Set(shardOf.values())];
  if (names.length > maxShards)
    throw new InputError(`${source}: expected at most ${maxShards} shards, found ${names.length}`);
  // All names and sizes before the first header: a bad index must not cost much first.
  const located: { name: string; path: string }[] = [];
  for (const name of names) {
    const path = await locateInside(folder, name);
    if (path === undefined) {
      throw new InputError(`${join(folder, name)}: expected a shard that ${INDEX} names, found nothing`);
    }
    located.push({ name, path });
  }
  await checkTotal(
    located.map(({ path }) => path),
    maxBytes,
    source,
  );
  const files: { name: string; file: TensorFile }[] = [];
  const found = new Set<string>();
  for (const { name, path } of located) {
    const file = await openTensorFile(path, { maxBytes });
    for (const { name: tensor } of file.entries) {
      const expected = shardOf.get(tensor);
      if (expected !== name) {
        const where = expected === undefined ? 'missing from the index' : `placed in ${quote(expected)} by the index`;
        throw new InputError(`${path}: expected only tensors the index places here, found ${quote(tensor)}, ${where}`);
      }
      found.add(tensor);
    }
    files.push({ name, file });
  }
  for (const [name, shard] of shardOf) {
    if (!found.has(name))
      throw new InputError(`${source}: expected tensor ${quote(name)} in ${quote(shard)}, found none there`);
  }
  return new OpenTensors(files);
}

async function checkTotal(paths: readonly string[], maxBytes: number, source: string): Promise<void> {
  let total = 0;
  for (const path of paths) {
    total += (await stat(path)).size;
  }
  if (total > maxBytes) {
    throw new InputError(`${source}: expected at most ${maxBytes} bytes in all shards together, found ${total}`);
  }
}
