import { readdir } from 'node:fs/promises';
import { InputError, quote } from '../registry/index.js';
import { locateInside, readFileCapped } from './files.js';
import { JsonScanner } from './json-scanner.js';

/** The name of a model's weights in one file. */
export const SINGLE = 'model.safetensors';
/** The name of the file that says which shard holds which tensor. */
export const INDEX = 'model.safetensors.index.json';

/** The index of a model of 700 billion parameters is 9 MB; seven times that is room enough. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/** The files of a folder that hold its weights. */
export interface WeightFiles {
  /** Paths within the folder: the single file, or the index and then its shards. */
  names: readonly string[];
  /** Tensor name to shard name; none for a single file. */
  shardOf?: ReadonlyMap<string, string>;
}

/**
 * Finds the files that `openTensors` reads of a folder.
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
