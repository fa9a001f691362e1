import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { findWeights, listFolder, readIndex } from '../formats/index.js';
import { InputError } from '../registry/index.js';

/** The file that says what a model directory holds. */
export const CONFIG_FILE = 'config.json';

/** A model's text for people: copied with the model's card in it, and free to be edited where it is published. */
const README = 'README.md';

/** Files beside the weights that belong to a model and are copied as they are, in its folder or one below. */
const COMPANION =
  /^(tokenizer.*|special_tokens_map|added_tokens|vocab|merges|spiece|sentencepiece.*|generation_config|(image_|video_)?(pre)?processor_config|chat_template.*|modules|sentence_bert_config|config_sentence_transformers)\.(json|txt|model|jinja)$/;
/** The configuration of a module of sentence-transformers, such as `1_Pooling/config.json`. */
const MODULE = /^\d+_[A-Z]\w*\/config\.json$/;

/** Weights of any framework by their names' ends. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf|onnx|onnx_data)(\.index(\.[\w-]+)?\.json)?$/;
/** Names under which the usual loaders look for them: of these a stale file would be loaded in the place of a new one. */
const LOADED =
  /^(onnx\/.*|((model|pytorch_model|open_clip(_pytorch)?_model|flax_model|tf_model|adapter_model|consolidated)([-._].*)?))$/;
/** What a training leaves beside them, which no loader takes for weights. */
const TRAINING = /^(optimizer|scheduler|scaler|rng_state.*|training_args)\./;

/** The files of a model, by their path in its folder. */
export interface ModelFiles {
  /** Where they lie. */
  readonly folder: string;
  /** `config.json` (where there is one), then the weights and their index: what a model is read from. */
  readonly read: readonly string[];
  /** Tokenizer and like files, which are copied with it. */
  readonly companions: readonly string[];
  /** What else lies there in plain sight, with a slash at the end of a folder's name: no part of a copy. The README is. */
  readonly leftOut: readonly string[];
}

/** Whether a file of a repository belongs to the model there beside its weights, by its path. */
export function belongsToModel(path: string): boolean {
  return path === CONFIG_FILE || path === README || COMPANION.test(path) || MODULE.test(path);
}

/** The folder of a model that may be given by the path of its only file of weights. */
export async function modelFolder(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  return info && !info.isDirectory() ? dirname(path) : path;
}

/**
 * Finds what belongs to the model in a folder, or beside its only file of weights. Links are followed inside the folder and, from a
 * snapshot of the Hugging Face hub cache, into its `blobs`; what another link leads to is left out.
 *
 * @throws InputError when there are no weights, or a link of theirs leaves the folder.
 */
export async function findModelFiles(path: string): Promise<ModelFiles> {
  const { folder, names } = await findWeights(path);
  const { files, folders, outside } = await listFolder(folder);
  const read = [...(files.includes(CONFIG_FILE) ? [CONFIG_FILE] : []), ...names];
  const taken = new Set(read);
  const companions = files.filter((name) => COMPANION.test(name) && !taken.has(name));
  // Around a file there may be anything, which is no part of the model and not worth a word.
  if (folder !== path) return { folder, read, companions, leftOut: [] };
  const isCopied = (name: string) => taken.has(name) || companions.includes(name) || name === README;
  const leftOut = [...files.filter((name) => !isCopied(name)), ...outside];
  for (const name of folders) {
    const inner = await listFolder(join(folder, name), folder);
    const paths = inner.files.map((file) => `${name}/${file}`);
    const others = paths.filter((path) => !taken.has(path));
    // Weights that this model does not read are another model's, and so is what lies beside them.
    const foreign = others.some((path) => WEIGHTS.test(path));
    const copied = foreign ? [] : others.filter((path) => COMPANION.test(basename(path)) || MODULE.test(path));
    companions.push(...copied);
    const complete = copied.length === others.length && inner.folders.length + inner.outside.length === 0;
    if (!complete) {
      if (copied.length === 0 && others.length === paths.length) leftOut.push(`${name}/`);
      else leftOut.push(...others.filter((path) => !copied.includes(path)), ...below(name, inner));
    }
  }
  return { folder, read, companions, leftOut };
}

function below(name: string, { folders, outside }: { folders: readonly string[]; outside: readonly string[] }) {
  return [...folders.map((each) => `${name}/${each}/`), ...outside.map((each) => `${name}/${each}`)];
}

/** What lies in a folder that a model is to be written into. */
export interface OldFiles {
  /** Files of an older model that a loader would take for parts of the new one: they go when it is overwritten. */
  readonly stale: readonly string[];
  /** Other weights; no one said that they may go, and some loaders read all that they find. */
  readonly strange: readonly string[];
}

/** Finds what is left of an older model in a folder; nothing where there is no folder. */
export async function findOldFiles(folder: string): Promise<OldFiles> {
  const info = await stat(folder).catch(() => undefined);
  if (!info?.isDirectory()) return { stale: [], strange: [] };
  const { files, folders, outside } = await listFolder(folder);
  const stale = [...files, ...outside].filter(
    (name) =>
      name === CONFIG_FILE ||
      name === 'adapter_config.json' ||
      COMPANION.test(name) ||
      (WEIGHTS.test(name) && LOADED.test(name)),
  );
  // A damaged index names nothing; it goes, and what it may have named is strange.
  const shards = new Set((await readIndex(folder).catch(() => undefined))?.values());
  const strange = [...files, ...outside].filter(
    (name) => WEIGHTS.test(name) && !TRAINING.test(name) && !stale.includes(name) && !shards.has(name),
  );
  stale.push(...[...files, ...outside].filter((name) => shards.has(name) && !stale.includes(name) && isShard(name)));
  for (const name of folders) {
    const inner = await listFolder(join(folder, name), folder);
    // A model of its own, with a configuration and weights, is no part of the one above.
    const own = inner.files.includes(CONFIG_FILE) && inner.files.some((file) => WEIGHTS.test(file));
    for (const path of [...inner.files, ...inner.outside].map((file) => `${name}/${file}`)) {
      if (shards.has(path) && isShard(path)) stale.push(path);
      else if (own) continue;
      else if (COMPANION.test(basename(path)) || MODULE.test(path)) stale.push(path);
      else if (WEIGHTS.test(path) && !TRAINING.test(basename(path))) {
        (LOADED.test(path) ? stale : strange).push(path);
      }
    }
  }
  return { stale, strange };
}

/** An index from anywhere must not make us delete other things than weights. */
function isShard(path: string): boolean {
  return path.endsWith('.safetensors');
}

/**
 * Refuses a folder that holds a model already, or a part of one: ask before long work, not after it.
 *
 * @param options - `force`: an older model may go; other weights still may not lie there.
 * @throws InputError when there is one.
 */
export async function requireNoModel(folder: string, { force = false }: { force?: boolean } = {}): Promise<void> {
  const { stale, strange } = await findOldFiles(folder);
  if (strange.length > 0) {
    throw new InputError(
      `${join(folder, strange[0])}: expected no weights beside the model's own, found some that a loader may take in their place; move them away`,
    );
  }
  if (force || stale.length === 0) return;
  const found = stale.includes(CONFIG_FILE) ? 'a model' : stale[0];
  throw new InputError(`${folder}: expected a new folder, it holds ${found} already (--force overwrites it)`);
}

/**
 * Refuses to write a model into the folder that it is read from, however the two are spelled.
 *
 * @throws InputError when both are one folder.
 */
export async function requireApart(source: string, output: string): Promise<void> {
  const folder = await modelFolder(source);
  const [from, to] = await Promise.all([folder, output].map((path) => stat(resolve(path)).catch(() => undefined)));
  if (from && to && from.dev === to.dev && from.ino === to.ino) {
    throw new InputError(`${output}: expected another folder than the model's own, which is not changed`);
  }
}
