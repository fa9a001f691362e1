import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fromFloat32,
  locateInside,
  type NewFile,
  readFileCapped,
  readJsonFile,
  readTensorFiles,
  replaceFiles,
  type StoredTensor,
  safetensorsChunks,
  toFloat32,
} from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { type ModelSpec, modelState } from './architecture.js';
import type { ModelCard } from './card.js';
import { cardFiles, configWithCard } from './card-files.js';
import { requireClassCount } from './class-count.js';
import { architectures, parseConfig, readConfig } from './config.js';
import { CONFIG_FILE, findModelFiles, findOldFiles, requireNoModel } from './model-files.js';
import { initializeWeights, parameterSet, requireFinite, requireWeights, type StateDict } from './state-dict.js';

const SINGLE_FILE = 'model.safetensors';

/** Larger files beside the weights are refused. */
const maxCompanionBytes = 256 * 2 ** 20;

/** A model in memory: float32 weights, whatever type the file stores. */
export interface Model extends ModelSpec {
  /** Weights by name, in file order. */
  readonly weights: StateDict;
  /** Stored type of each weight in the folder that it was read from; none for a new model, which is stored as float32. */
  readonly stored?: ReadonlyMap<string, StoredTensor['dtype']>;
  /** The folder it was read from; none for a new model. */
  readonly source?: string;
  /** The `config.json` it was read from; none for a new model and where the configuration was given by the caller. */
  readonly configFile?: string;
}

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
 * Reads a model directory: `config.json` and `model.safetensors` (or its shards).
 *
 * @param options - `config`: what `config.json` would say, for a folder that has none or in its place.
 * @throws InputError when a file is missing or malformed, or the tensors are not those of the architecture,
 * or hold NaN or infinities.
 */
export async function loadModel(
  folder: string,
  { config }: { config?: Readonly<Record<string, unknown>> } = {},
): Promise<Model> {
  const info = await stat(folder).catch(() => undefined);
  if (!info?.isDirectory())
    throw new InputError(`${folder}: expected a model directory, found ${info ? 'a file' : 'nothing'}`);
  const configFile = config ? undefined : await locateInside(folder, CONFIG_FILE);
  if (!config && configFile === undefined) {
    throw new InputError(
      `${join(folder, CONFIG_FILE)}: expected a file, found nothing; --architecture says what weights without one are of, --model-config more`,
    );
  }
  const spec = readConfig(configFile ? await readJsonFile(configFile) : config, configFile ?? 'config');
  const { tensors, shards } = await readTensorFiles(folder);
  const byFile = shards.map(({ name, file }) => ({ path: join(folder, name), weights: weightsOf(file.tensors) }));
  const weights = new Map(byFile.flatMap((file) => [...file.weights]));
  const state = modelState(spec);
  requireClassCount(weights, state, spec, { source: folder, configFile });
  requireWeights(weights, state, folder);
  for (const file of byFile) requireFinite(file.weights, file.path);
  const stored = new Map(tensors.map(({ name, dtype }) => [name, dtype]));
  return { ...spec, weights, stored, source: folder, configFile };
}

function weightsOf(tensors: readonly StoredTensor[]): StateDict {
  return new Map(tensors.map((tensor) => [tensor.name, { shape: tensor.shape, data: toFloat32(tensor) }]));
}

/**
 * Writes a model directory that the original framework loads unchanged. A model that was read from a folder keeps that
 * folder's tensor names, order, stored types, `config.json`, metadata and tokenizer files; a new one is stored as float32.
 * Weights, indexes and tokenizer files of an older model in the folder are removed, so that no loader prefers them. A
 * process that is killed leaves the old model, the new one, or a folder without `config.json`.
 *
 * @param options - `card`: what the directory says of the model, beside what the source says.
 * @throws InputError when the folder holds a model already and `force` is not set, or weights that are no model's.
 */
export async function saveModel(
  folder: string,
  model: Model,
  { force = false, card }: { force?: boolean; card?: ModelCard } = {},
): Promise<void> {
  await requireNoModel(folder, { force });
  const { stale } = await findOldFiles(folder);
  const files = new Map<string, NewFile>();
  const put = (file: NewFile) => files.set(file.name, file);
  for (const file of await weightFiles(folder, model)) put(file);
  // The text of a README that the user put there stays; an older model's gives way to that of the source.
  const readmes = stale.includes(CONFIG_FILE) ? [model.source, folder] : [folder, model.source];
  for (const file of await cardFiles({ folder: model.source, readmes }, model, card)) put(file);
  // Last, so that a folder that has it is whole.
  put({ name: CONFIG_FILE, content: () => configText(model, card) });
  await replaceFiles(
    folder,
    [...files.values()],
    stale.filter((name) => !files.has(name)),
  );
}

/** The weights, with the index and companions of the folder that they were read from. */
async function weightFiles(folder: string, model: Model): Promise<NewFile[]> {
  const { source, weights } = model;
  if (source === undefined) {
    const file = { tensors: newTensors(model), metadata: { format: 'pt' } };
    return [{ name: SINGLE_FILE, content: () => safetensorsChunks(file, join(folder, SINGLE_FILE)) }];
  }
  const { shards } = await readTensorFiles(source);
  const { read, companions } = await findModelFiles(source);
  const copied = [...read.filter((name) => name.endsWith('.index.json')), ...companions];
  return [
    ...shards.map(({ name, file }) => ({
      name,
      content: () => {
        const tensors = file.tensors.map((tensor) => updated(tensor, weights));
        return safetensorsChunks({ ...file, tensors }, join(folder, name));
      },
    })),
    ...copied.map((name) => ({ name, content: () => readInside(source, name) })),
  ];
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
async function configText(model: Model, card: ModelCard = {}): Promise<string | Uint8Array> {
  const { architecture, config, configFile, source } = model;
  const isNew = source === undefined;
  if (configFile === undefined) {
    return configWithCard(`${JSON.stringify(architecture.toFile?.(config) ?? config, null, 2)}\n`, model, card, isNew);
  }
  const bytes = await readFileCapped(configFile, maxCompanionBytes);
  const text = new TextDecoder().decode(bytes);
  const described = configWithCard(text, model, card, isNew);
  return described === text ? bytes : described;
}

function newTensors(model: Model): StoredTensor[] {
  const counters = modelState(model).filter(({ kind }) => kind === 'counter');
  const counts = new Set(counters.map(({ name }) => name));
  return [...model.weights].map(([name, { shape, data }]) =>
    fromFloat32(data, { name, dtype: counts.has(name) ? 'I64' : 'F32', shape }),
  );
}

function updated(tensor: StoredTensor, weights: StateDict): StoredTensor {
  const weight = weights.get(tensor.name);
  return weight ? fromFloat32(weight.data, tensor) : tensor;
}
