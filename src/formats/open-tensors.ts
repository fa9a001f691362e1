import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, quote } from '../registry/index.js';
import { DTYPE_BYTES, decodeInto, type StoredTensor, storedByteLength, type TensorHeader } from './dtypes.js';
import { locateInside } from './files.js';
import { findWeights, SINGLE, type WeightFiles, type WeightFormat } from './find-weights.js';
import { openGguf } from './gguf/index.js';
import { allocate } from './known-file.js';
import type { HeaderMetadata } from './safetensors-header.js';
import { openSafetensors } from './tensor-file.js';
import type { LazyTensor, TensorSource } from './tensor-source.js';
import { openTorch } from './torch/index.js';

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

/** How a file of each format is opened. */
const OPENERS: Record<WeightFormat, (path: string, limits: { maxBytes: number }) => Promise<TensorSource>> = {
  safetensors: openSafetensors,
  torch: openTorch,
  gguf: openGguf,
};

/**
 * A model's weights on the disk, whatever their format: all headers have been read and checked, tensors are read one at a time.
 * Looped over, it gives all of them, shard by shard. Files are open while one of them is read, and no longer.
 */
export class OpenTensors implements AsyncIterable<StoredTensor> {
  /** What they are written in. */
  readonly format: WeightFormat;
  /** In the order the index first names them. */
  readonly shards: readonly Shard[];
  /** All tensors, shard by shard. Of quantized ones, dtype and bytes are those of their values. */
  readonly headers: readonly TensorHeader[];
  readonly #tensors = new Map<string, LazyTensor>();

  /** @internal */
  constructor(format: WeightFormat, files: readonly { name: string; source: TensorSource }[]) {
    this.format = format;
    this.shards = files.map(({ name, source }) => {
      const { path, tensors, metadata, metadataKeys } = source;
      for (const tensor of tensors) this.#tensors.set(tensor.header.name, tensor);
      const headers = tensors.map(({ header }) => header);
      return { name, path, tensors: headers, metadata, ...(metadataKeys && { metadataKeys }) };
    });
    this.headers = this.shards.flatMap(({ tensors }) => tensors);
  }

  /**
   * Reads one tensor.
   *
   * @throws InputError when there is none of that name, or the file has changed since its header was read.
   */
  async tensor(name: string): Promise<StoredTensor> {
    const { header, pieces } = this.#named(name);
    // Readers refuse what has no size of its own.
    const bytes = allocate(storedByteLength(header.dtype, header.shape) ?? 0, this.#source());
    await pieces((piece, offset) => bytes.set(piece, offset));
    return { ...header, bytes };
  }

  /**
   * Reads one tensor piece by piece, its bytes never in memory together.
   *
   * @param onPiece - Sees the bytes in their order; each piece is overwritten when it returns.
   * @throws InputError as {@link tensor}.
   */
  async pieces(name: string, onPiece: (piece: Uint8Array) => void): Promise<void> {
    await this.#named(name).pieces(onPiece);
  }

  /**
   * Reads the float32 values of one tensor, piece by piece, so that its stored bytes are not in memory beside them.
   *
   * @param values - Receives them, as many as the shape has elements.
   * @param onPiece - Sees the bytes as well, as {@link pieces} gives them; for digests.
   * @throws InputError as {@link tensor}, and when a BOOL byte is neither 0 nor 1.
   */
  async values(name: string, values: Float32Array, onPiece?: (piece: Uint8Array) => void): Promise<void> {
    const { header, pieces } = this.#named(name);
    await pieces((piece, offset) => {
      onPiece?.(piece);
      decodeInto(values, offset / DTYPE_BYTES[header.dtype], header, piece);
    });
  }

  /** All tensors one after another, each in memory of its own. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StoredTensor> {
    for (const { name } of this.headers) yield await this.tensor(name);
  }

  #named(name: string): LazyTensor {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    throw new InputError(`${this.#source()}: expected a tensor ${quote(name)}, found none`);
  }

  #source(): string {
    return this.shards.map(({ path }) => path).join(', ');
  }
}

/**
 * Opens a model's weights, a Hugging Face folder or a single file: reads and checks the headers, and then single tensors
 * when they are asked for.
 *
 * @param path - A folder with `model.safetensors`, or else `model.safetensors.index.json` and its shards, `pytorch_model.bin`, its
 *   shards, or a GGUF file; or the path of one safetensors, GGUF or `torch.save` file. As in transformers, safetensors win over the
 *   others and the single file over shards.
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
  const found = await findWeights(path);
  const { format, folder, index } = found;
  if (index) return openShards(found, index, { maxBytes, maxShards });
  const [name = ''] = found.names;
  // A file's path as it was given: messages name it so.
  const source = await OPENERS[format](info.isDirectory() ? join(folder, name) : path, { maxBytes });
  return new OpenTensors(format, [{ name, source }]);
}

async function openShards(
  { format, folder }: Pick<WeightFiles, 'format' | 'folder'>,
  { name: indexName, shardOf }: NonNullable<WeightFiles['index']>,
  { maxBytes, maxShards }: Required<TensorFilesLimits>,
): Promise<OpenTensors> {
  const index = join(folder, indexName);
  const names = [...new Set(shardOf.values())];
  if (names.length > maxShards)
    throw new InputError(`${index}: expected at most ${maxShards} shards, found ${names.length}`);
  // All names and sizes before the first header: a bad index must not cost much first.
  const located: { name: string; path: string }[] = [];
  for (const name of names) {
    const path = await locateInside(folder, name);
    if (path === undefined) {
      throw new InputError(`${join(folder, name)}: expected a shard that ${indexName} names, found nothing`);
    }
    located.push({ name, path });
  }
  await checkTotal(
    located.map(({ path }) => path),
    maxBytes,
    index,
  );
  const files: { name: string; source: TensorSource }[] = [];
  const found = new Set<string>();
  for (const { name, path } of located) {
    const source = await OPENERS[format](path, { maxBytes });
    for (const { header } of source.tensors) {
      const { name: tensor } = header;
      const expected = shardOf.get(tensor);
      if (expected !== name) {
        const where = expected === undefined ? 'missing from the index' : `placed in ${quote(expected)} by the index`;
        throw new InputError(`${path}: expected only tensors the index places here, found ${quote(tensor)}, ${where}`);
      }
      found.add(tensor);
    }
    files.push({ name, source });
  }
  for (const [name, shard] of shardOf) {
    if (!found.has(name))
      throw new InputError(`${index}: expected tensor ${quote(name)} in ${quote(shard)}, found none there`);
  }
  return new OpenTensors(format, files);
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
