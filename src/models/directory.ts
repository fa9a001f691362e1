import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findWeights,
  fromFloat32,
  INDEX,
  locateInside,
  type NewFile,
  openTensors,
  readFileCapped,
  readJsonFile,
  replaceFiles,
  toFloat32,
} from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { tokenizerFiles } from '../text/index.js';
import { type HeadNeed, modelState } from './architecture.js';
import type { ModelCard } from './card.js';
import { cardFiles, configWithCard } from './card-files.js';
import { type ChangeOptions, changedFiles, type WeightChange } from './changed-weights.js';
import { architectures, parseConfig, readConfig } from './config.js';
import { withJsonKeys } from './config-text.js';
import { ggufConfig } from './gguf-config.js';
import { keysOfHead } from './head.js';
import type { Model, ModelOnDisk } from './model.js';
import { CONFIG_FILE, findModelFiles, findOldFiles, modelFolder, requireNoModel } from './model-files.js';
import { requirePlainWeights } from './plain-weights.js';
import { initializeWeights, parameterSet } from './state-dict.js';
import { findModelWeights, readWeights, type WeightsNeed, weightFiles } from './weight-files.js';

/** Larger files beside the weights are refused. */
const maxCompanionBytes = 256 * 2 ** 20;

/**
 * Makes a model with fresh weights.
 *
 * @param config - Keys of `config.json`; what is left out takes its default.
 * @throws InputError for an unknown architecture or key.
 */
export function initializeModel(architecture: string, config: Readonly<Record<string, unknown>>, seed: number): Model {
  const spec = parseConfig(architectures.get(architecture), config, 'config');
  return { ...spec, weights: initializeWeights(modelState(spec), seed) };
}

/**
 * Reads a model directory: `config.json` and `model.safetensors` (or its shards, or weights of another format that `openTensors`
 * reads); or the only file of its weights, with what lies beside it.
 *
 * @throws InputError when a file is missing or malformed, or the tensors are not those of the architecture,
 * or hold NaN or infinities.
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  const { spec, need, ...found } = await readFolder(path, options);
  return { ...spec, ...(await readWeights(path, spec, need)), ...found };
}

/**
 * Opens a model directory as {@link loadModel} does, but reads the headers of its weights alone, not their values.
 *
 * @throws InputError as {@link loadModel}, but for NaN and infinities.
 */
export async function openModel(
  path: string,
  options: LoadOptions = {},
): Promise<ModelOnDisk & { readonly source: string }> {
  const { spec, need, ...found } = await readFolder(path, options);
  const { weights, stored, notes } = await findModelWeights(path, spec, need);
  return { ...spec, weights, stored, notes, ...found };
}

/**
 * Reads the weights of a model that was opened.
 *
 * @param seed - Of weights that its folder lacks, as it was opened with; default 1.
 * @throws InputError as {@link loadModel}.
 */
export async function loadOpened(model: ModelOnDisk & { readonly source: string }, seed = 1): Promise<Model> {
  const { source, configFile } = model;
  return { ...model, ...(await readWeights(source, model, { configFile, seed })) };
}

/** How {@link loadModel} reads a folder. */
export interface LoadOptions {
  /** What `config.json` would say, for a folder that has none or in its place. */
  config?: Readonly<Record<string, unknown>>;
  /**
   * What a task asks for, default the folder's own: where it has another, a new one is drawn, and the tensors of the other stay in the
   * folder as they are.
   */
  head?: HeadNeed;
  /** Of weights that the folder lacks and that the architecture lets be drawn, default 1; the model's notes name them. */
  seed?: number;
}

/** What a model directory says of its model, its weights aside. */
async function readFolder(path: string, { config, head, seed = 1 }: LoadOptions) {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a model directory, found nothing`);
  const folder = await modelFolder(path);
  const configFile = config ? undefined : await locateInside(folder, CONFIG_FILE);
  const given = config ?? (configFile ? await readJsonFile(configFile) : await configOfWeights(path));
  const source = configFile ?? 'config';
  const own = readConfig(given, source);
  const tensors = await openTensors(path);
  if (!info.isDirectory() && tensors.format === 'safetensors') {
    throw new InputError(`${path}: expected a model directory, found a file`);
  }
  requirePlainWeights(tensors.headers, given, path);
  const headKeys = head && keysOfHead(own, head, path);
  const spec = headKeys ? readConfig({ ...(given as Record<string, unknown>), ...headKeys }, source) : own;
  const need: WeightsNeed = { configFile, seed, ...(headKeys && { own }) };
  const changedKeys = { ...headKeys, ...(tensors.format === 'gguf' && float32Keys(given as Record<string, unknown>)) };
  return {
    ...{ spec, need, source: path, configFile },
    ...(Object.keys(changedKeys).length > 0 && { changedKeys }),
  };
}

/** What weights without `config.json` say of their model themselves, which one format does. */
async function configOfWeights(path: string): Promise<Record<string, unknown>> {
  const format = (await findWeights(path).catch(() => undefined))?.format;
  if (format === 'gguf') return ggufConfig(await openTensors(path));
  throw new InputError(
    `${join(await modelFolder(path), CONFIG_FILE)}: expected a file, found nothing; --architecture says what weights without one are of, --model-config more`,
  );
}

/** What a configuration must say else of weights that are stored as float32: transformers would round them to what it says. */
function float32Keys(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const keys = ['dtype', 'torch_dtype'].filter((key) => config[key] != null && config[key] !== 'float32');
  return Object.fromEntries(keys.map((key) => [key, 'float32']));
}

/**
 * Writes a model directory that the original framework loads unchanged. A model that was read from a folder keeps that
 * folder's tensor names, order, stored types, `config.json`, metadata and tokenizer files; a new one is stored as float32. What
 * was read from a GGUF or `torch.save` file is written as safetensors: quantized tensors as float32, which holds their values
 * exactly as no 16-bit type does, others in their own type, tied ones each under its name.
 * Weights, indexes and tokenizer files of an older model in the folder are removed, so that no loader prefers them. A
 * process that is killed leaves the old model, the new one, or a folder without `config.json`.
 *
 * @throws InputError when the folder holds a model already and `force` is not set, or weights that are no model's.
 */
export async function saveModel(folder: string, model: Model, options: SaveOptions = {}): Promise<void> {
  await saveFiles(folder, model, { ...options, weights: () => weightFiles(folder, model) });
}

/**
 * Writes a model directory like {@link saveModel}, of a model that is not in memory, with some weights changed: at most those that one
 * change needs, or that several tie together, are in memory at a time. What no change names is copied to the byte.
 *
 * @param changes - What is done to the weights, in this order.
 * @throws InputError as {@link saveModel}, and where a weight holds NaN or infinities; then nothing is written.
 * @example
 * const double = { names: ['fc.weight'], apply: (weights) => weights.get('fc.weight')?.data.forEach((v, i, all) => (all[i] = 2 * v)) };
 * await saveChanged('doubled', await openModel('model'), [double]);
 */
export async function saveChanged(
  folder: string,
  model: ModelOnDisk & { readonly source: string },
  changes: readonly WeightChange[],
  { force, card, ...options }: SaveOptions & ChangeOptions = {},
): Promise<void> {
  await saveFiles(folder, model, { force, card, weights: () => changedFiles(folder, model, changes, options) });
}

/** How {@link saveModel} writes a folder. */
export interface SaveOptions {
  /** Whether a model that lies there may go; default false. */
  force?: boolean;
  /** What the directory says of the model, beside what the source says. */
  card?: ModelCard;
}

async function saveFiles(
  folder: string,
  model: ModelOnDisk,
  { force = false, card, weights }: SaveOptions & { weights: () => Promise<NewFile[]> },
): Promise<void> {
  await requireNoModel(folder, { force });
  const { stale } = await findOldFiles(folder);
  const files = new Map<string, NewFile>();
  const put = (file: NewFile) => files.set(file.name, file);
  for (const file of [...(await copiedFiles(model)), ...(await weights())]) put(file);
  // The text of a README that the user put there stays; an older model's gives way to that of the source.
  const own = model.source === undefined ? undefined : await modelFolder(model.source);
  const readmes = stale.includes(CONFIG_FILE) ? [own, folder] : [folder, own];
  for (const file of await cardFiles({ folder: own, readmes }, model, card)) put(file);
  // Last, so that a folder that has it is whole.
  put({ name: CONFIG_FILE, content: () => configText(model, card) });
  await replaceFiles(
    folder,
    [...files.values()],
    stale.filter((name) => !files.has(name)),
  );
}

/** What lies beside a model's weights in the folder that it was read from: the index and companions. */
async function copiedFiles({ source, tokenizer }: ModelOnDisk): Promise<NewFile[]> {
  if (source === undefined) return tokenizer === undefined ? [] : copiedTokenizer(tokenizer);
  const { folder, read, companions } = await findModelFiles(source);
  // That of another format names files that are not written.
  return [...read.filter((name) => name === INDEX), ...companions].map((name) => ({
    name,
    content: () => readInside(folder, name),
  }));
}

async function copiedTokenizer(folder: string): Promise<NewFile[]> {
  const names = Object.keys(tokenizerFiles);
  const paths = await Promise.all(names.map((name) => locateInside(folder, name)));
  return names
    .filter((_, index) => paths[index] !== undefined)
    .map((name) => ({ name, content: () => readInside(folder, name) }));
}

/** The content of a file of a model's folder, which may be a link as far as {@link locateInside} follows one. */
async function readInside(folder: string, name: string): Promise<Uint8Array> {
  return readFileCapped((await locateInside(folder, name)) ?? join(folder, name), maxCompanionBytes);
}

/**
 * The values that {@link saveModel} writes for some weights of a model: rounded to the types that its folder stores them in.
 * What is said of a model that is published must be measured on these.
 *
 * @param params - Values by name, shaped as the model's weights; not changed. Default the model's own.
 */
export function writtenParameters(
  { weights, stored }: Pick<Model, 'weights' | 'stored'>,
  params: ReadonlyMap<string, Float32Array> = parameterSet(weights),
): ReadonlyMap<string, Float32Array> {
  if (!stored || [...stored.values()].every((dtype) => dtype === 'F32')) return params;
  return new Map(
    [...params].map(([name, values]) => {
      const dtype = stored.get(name) ?? 'F32';
      const shape = weights.get(name)?.shape ?? [values.length];
      return [name, dtype === 'F32' ? values : toFloat32(fromFloat32(values, { name, dtype, shape }))];
    }),
  );
}

/** The `config.json` that the model was read from as it is, or one of its own; with what the card adds. */
async function configText(model: ModelOnDisk, card: ModelCard = {}): Promise<string | Uint8Array> {
  const { architecture, config, configFile, source, changedKeys } = model;
  const isNew = source === undefined;
  if (configFile === undefined) {
    return configWithCard(`${JSON.stringify(architecture.toFile?.(config) ?? config, null, 2)}\n`, model, card, isNew);
  }
  const bytes = await readFileCapped(configFile, maxCompanionBytes);
  const text = new TextDecoder().decode(bytes);
  const described = configWithCard(changedKeys ? withJsonKeys(text, changedKeys) : text, model, card, isNew);
  return described === text ? bytes : described;
}
