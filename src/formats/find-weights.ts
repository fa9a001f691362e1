import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { InputError, quote } from '../registry/index.js';
import { locateInside, readFileCapped } from './files.js';
import { JsonScanner } from './json-scanner.js';

/** The name of a model's weights in one file. */
export const SINGLE = 'model.safetensors';
/** The name of the file that says which shard holds which tensor. */
export const INDEX = 'model.safetensors.index.json';

/** The name of weights that `torch.save` wrote, in transformers. */
export const TORCH_SINGLE = 'pytorch_model.bin';
/** The name of the index of their shards. */
export const TORCH_INDEX = 'pytorch_model.bin.index.json';

/** The index of a model of 700 billion parameters is 9 MB; seven times that is room enough. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/** Formats of weights that are read; all are written as safetensors. */
export type WeightFormat = 'safetensors' | 'torch' | 'gguf';

/** The files that hold a model's weights. */
export interface WeightFiles {
  /** What they are written in. */
  readonly format: WeightFormat;
  /** Where they lie. */
  readonly folder: string;
  /** Paths within the folder: the single file, or the index and then its shards. */
  readonly names: readonly string[];
  /** The index's name and what it says, tensor name to shard name; none for a single file. */
  readonly index?: { readonly name: string; readonly shardOf: ReadonlyMap<string, string> };
}

/**
 * Finds the files that `openTensors` reads: of a folder `model.safetensors`, or else its shards, `pytorch_model.bin`, its shards,
 * or the only `.gguf`, `.pth` or `.pt` file, in this order; of a file itself.
 *
 * @throws InputError when there are none, the index is malformed, or a link leads out of the folder or to nothing.
 */
export async function findWeights(path: string): Promise<WeightFiles> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file of weights or a folder with ${SINGLE}, found nothing`);
  if (!info.isDirectory()) {
    return { format: await formatOf(path, info.isFile()), folder: dirname(path), names: [basename(path)] };
  }
  const folder = path;
  if (await locateInside(folder, SINGLE)) return { format: 'safetensors', folder, names: [SINGLE] };
  const shards = await sharded(folder, INDEX);
  if (shards) return { format: 'safetensors', folder, ...shards };
  if (await locateInside(folder, TORCH_SINGLE)) return { format: 'torch', folder, names: [TORCH_SINGLE] };
  const pickled = await sharded(folder, TORCH_INDEX);
  if (pickled) return { format: 'torch', folder, ...pickled };
  const names = (await readdir(folder)).filter((name) => weightFile.test(name)).sort();
  for (const [format, pattern] of lone) {
    const found = names.filter((name) => pattern.test(name));
    if (found.length > 1) {
      const shown = listed(found);
      throw new InputError(
        `${folder}: expected one file of weights, found ${shown}; give the path of the one that is meant`,
      );
    }
    if (found.length === 1 && (await locateInside(folder, found[0]))) return { format, folder, names: found };
  }
  throw new InputError(`${folder}: expected ${SINGLE} or ${INDEX} in this folder, found ${otherWeights(names)}`);
}

/** Formats whose files have any name, so that one alone in a folder is the model. */
const lone: readonly (readonly [WeightFormat, RegExp])[] = [
  ['gguf', /\.gguf$/i],
  // What a training leaves beside the weights is none.
  ['torch', /^(?!(optimizer|scheduler|scaler|training_args)\.|rng_state).*\.pth?$/i],
];

/** What a file is by its first bytes; a safetensors file, or taken for one, where they say nothing else. */
async function formatOf(path: string, isRegular: boolean): Promise<WeightFormat> {
  if (!isRegular) return 'safetensors';
  const start = new Uint8Array(4);
  const file = await open(path, 'r').catch((error: Error) => {
    throw new InputError(`${path}: expected a readable file, ${error.message}`);
  });
  try {
    await file.read(start, 0, 4, 0);
  } finally {
    await file.close();
  }
  const text = Buffer.from(start).toString('latin1');
  return text === 'GGUF' ? 'gguf' : text === 'PK\x03\x04' ? 'torch' : 'safetensors';
}

async function sharded(folder: string, name: string): Promise<Pick<WeightFiles, 'names' | 'index'> | undefined> {
  const shardOf = await readIndex(folder, name);
  return shardOf && { names: [name, ...new Set(shardOf.values())], index: { name, shardOf } };
}

/**
 * Reads a folder's index of shards.
 *
 * @param name - Of the index; default that of safetensors.
 * @returns Tensor name to shard name, none checked; undefined where there is no index.
 * @throws InputError when it is malformed, or a link that leads out of the folder or to nothing.
 */
export async function readIndex(folder: string, name = INDEX): Promise<ReadonlyMap<string, string> | undefined> {
  const index = await locateInside(folder, name);
  return index === undefined ? undefined : parseIndex(await readFileCapped(index, MAX_INDEX_BYTES), index);
}

/** Names of files in which other tools keep weights. */
const weightFile = /\.(safetensors|gguf|bin|pt|pth|ckpt|h5|keras|onnx|npz|msgpack)$/i;

/** What a folder without the expected files holds instead, for a message. */
function otherWeights(names: readonly string[]): string {
  return names.length === 0 ? 'neither' : `${listed(names)}; save the model as safetensors in its own framework`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(quote).join(', ');
  return `${shown}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
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
