import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError, quote } from '../registry/index.js';
import type { StoredTensor } from './dtypes.js';
import { locateInside, readFileCapped } from './files.js';
import { JsonScanner } from './json-scanner.js';
import { readSafetensors, type SafetensorsFile } from './safetensors.js';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** The index of a model of 700 billion parameters is 9 MB; seven times that is room enough. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;
const MAX_SHARDS = 1024;
const MAX_TOTAL_BYTES = 64 * 2 ** 30;

/** One file of a model's weights. */
export interface Shard {
  /** File name within the model's folder. */
  name: string;
  /** Its content. */
  file: SafetensorsFile;
}

/** The weights of a model: one file, or several that an index ties together. */
export interface TensorFiles {
  /** In the order the index first names them. */
  shards: Shard[];
  /** All tensors, shard by shard. */
  tensors: StoredTensor[];
}

/** Limits on what {@link readTensorFiles} reads. */
export interface TensorFilesLimits {
  /** Largest sum of all files in bytes (default 64 GiB). */
  maxBytes?: number;
  /** Largest number of shards (default 1,024). */
  maxShards?: number;
}

/**
 * Reads a model's weights from a Hugging Face folder or a single file.
 *
 * @param path - A folder with `model.safetensors`, or else `model.safetensors.index.json` and its shards; or the path of
 *   one safetensors file. As in transformers, the single file wins when a folder has both.
 * @throws InputError when files are missing or malformed, a name leaves the folder, or index and shards disagree.
 * @example
 * const { tensors } = await readTensorFiles('all-MiniLM-L6-v2');
 */
export async function readTensorFiles(
  path: string,
  { maxBytes = MAX_TOTAL_BYTES, maxShards = MAX_SHARDS }: TensorFilesLimits = {},
): Promise<TensorFiles> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a safetensors file or a folder with ${SINGLE}, found nothing`);
  if (!info.isDirectory()) return single(path, maxBytes);
  const { shardOf, names } = await findWeights(path);
  if (!shardOf) return single(join(path, names[0]), maxBytes);
  return readShards(path, shardOf, maxBytes, maxShards);
}

/** The files of a folder that hold its weights. */
export interface WeightFiles {
  /** Paths within the folder: the single file, or the index and then its shards. */
  names: readonly string[];
  /** Tensor name to shard name; none for a single file. */
  shardOf?: ReadonlyMap<string, string>;
}

/**
 * Finds the files that {@link readTensorFiles} reads of a folder.
 *
 * @throws InputError when there are none, the index is malformed, or a link leads out of the folder or to nothing.
 */
export async function findWeights(folder: string): Promise<WeightFiles> {
  if (await locateInside(folder, SINGLE)) return { names: [SINGLE] };
  const shardOf = await readIndex(folder);
  if (shardOf) return { names: [INDEX, ...new Set(shardOf.values())], shardOf };
  throw new InputError(`${folder}: expected ${SINGLE} or ${INDEX} in this folder, found ${await otherWeights(folder)}`);
}

/**
 * Reads a folder's index of shards.
 *
 * @returns Tensor name to shard name, none checked; undefined where there is no index.
 * @throws InputError when it is malformed, or a link that leads out of the folder or to nothing.
 */
export async function readIndex(folder: string): Promise<ReadonlyMap<string, string> | undefined> {
  const index = await locateInside(folder, INDEX);
  return index === undefined ? undefined : parseIndex(await readFileCapped(index, MAX_INDEX_BYTES), index);
}

/** Names of files in which other tools keep weights. */
const weightFile = /\.(safetensors|gguf|bin|pt|pth|ckpt|h5|keras|onnx|npz|msgpack)$/i;

/** What a folder without the expected files holds instead, for a message. */
async function otherWeights(folder: string): Promise<string> {
  const others = (await readdir(folder)).filter((name) => weightFile.test(name)).sort();
  if (others.length === 0) return 'neither';
  const shown = others.slice(0, 3).map(quote).join(', ');
  return `${shown}${others.length > 3 ? ` and ${others.length - 3} more` : ''}; save the model as safetensors in its own framework`;
}

async function single(path: string, maxBytes: number): Promise<TensorFiles> {
  const file = await readSafetensors(path, { maxBytes });
  return { shards: [{ name: basename(path), file }], tensors: file.tensors };
}

async function readShards(
  folder: string,
  shardOf: ReadonlyMap<string, string>,
  maxBytes: number,
  maxShards: number,
): Promise<TensorFiles> {
  const source = join(folder, INDEX);
  const names = [...new Set(shardOf.values())];
  if (names.length > maxShards)
    throw new InputError(`${source}: expected at most ${maxShards} shards, found ${names.length}`);
  // All names and sizes before the first read: a bad index must not cost gigabytes first.
  const paths: string[] = [];
  for (const name of names) {
    const path = await locateInside(folder, name);
    if (path === undefined) {
      throw new InputError(`${join(folder, name)}: expected a shard that ${INDEX} names, found nothing`);
    }
    paths.push(path);
  }
  await checkTotal(paths, maxBytes, source);
  const result: TensorFiles = { shards: [], tensors: [] };
  for (const [i, name] of names.entries()) {
    const file = await readSafetensors(paths[i], { maxBytes });
    for (const tensor of file.tensors) {
      const expected = shardOf.get(tensor.name);
      if (expected !== name) {
        const where = expected === undefined ? 'missing from the index' : `placed in ${quote(expected)} by the index`;
        throw new InputError(
          `${paths[i]}: expected only tensors the index places here, found ${quote(tensor.name)}, ${where}`,
        );
      }
      result.tensors.push(tensor);
    }
    result.shards.push({ name, file });
  }
  checkComplete(shardOf, result.tensors, source);
  return result;
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

/** Every tensor read is indexed and no shard holds one twice, so a difference in number is a missing tensor. */
function checkComplete(shardOf: ReadonlyMap<string, string>, tensors: readonly StoredTensor[], source: string): void {
  if (tensors.length === shardOf.size) return;
  const found = new Set(tensors.map((tensor) => tensor.name));
  for (const [name, shard] of shardOf) {
    if (!found.has(name))
      throw new InputError(`${source}: expected tensor ${quote(name)} in ${quote(shard)}, found none there`);
  }
}

/** Tensor name to shard name. A Map, because names like `__proto__` are ordinary there. */
function parseIndex(bytes: Uint8Array, source: string): Map<string, string> {
  const json = new JsonScanner(bytes, source, 'key');
  let shardOf: Map<string, string> | undefined;
  json.object('an index object', (key) => {
    if (key !== 'weight_map') return json.skip();
    const map = new Map<string, string>();
    json.object('weight_map as an object of file names', (name) => {
      json.subject = name;
      map.set(name, json.string('a file name'));
      json.subject = undefined;
    });
    shardOf = map;
  });
  json.end();
  if (!shardOf) throw new InputError(`${source}: expected a weight_map, found none`);
  return shardOf;
}
