import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fromFloat32,
  InputError,
  readFileCapped,
  readJsonFile,
  readTensorFiles,
  type StoredTensor,
  toFloat32,
  writeFileAtomic,
  writeSafetensors,
} from '../formats/index.js';
import { buildForward, type ModelSpec } from './architecture.js';
import type { ModelCard } from './card.js';
import { configWithCard, writeModelCard } from './card-files.js';
import { requireClassCount } from './class-count.js';
import { architectures, parseConfig, readConfig } from './config.js';
import { initializeWeights, parameterSet, requireFinite, requireWeights, type StateDict } from './state-dict.js';

/** Files beside the weights that belong to a model and are copied as they are; larger ones are refused. */
const companionPattern =
  /^(tokenizer.*|special_tokens_map|vocab|merges|generation_config|preprocessor_config|chat_template)\.(json|txt|model|jinja)$|^README\.md$/;
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
  return { ...spec, weights: initializeWeights(buildForward(spec, 1).scope.state, seed) };
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
  const configFile = config ? undefined : join(folder, 'config.json');
  if (configFile && !(await stat(configFile).catch(() => undefined))) {
    throw new InputError(
      `${configFile}: expected a file, found nothing; --architecture says what weights without one are of, --model-config more`,
    );
  }
  const spec = readConfig(configFile ? await readJsonFile(configFile) : config, configFile ?? 'config');
  const { tensors, shards } = await readTensorFiles(folder);
  const byFile = shards.map(({ name, file }) => ({ path: join(folder, name), weights: weightsOf(file.tensors) }));
  const weights = new Map(byFile.flatMap((file) => [...file.weights]));
  const { state } = buildForward(spec, 1).scope;
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
 * Refuses a folder that holds a model already: ask before long work, not after it.
 *
 * @throws InputError when there is a `config.json`.
 */
export async function requireNoModel(folder: string): Promise<void> {
  if (await stat(join(folder, 'config.json')).catch(() => undefined)) {
    throw new InputError(`${folder}: expected a new folder, it holds a model already (--force overwrites it)`);
  }
}

/**
 * Writes a model directory that the original framework loads unchanged. A model that was read from a folder keeps that
 * folder's tensor names, order, stored types, `config.json`, metadata and tokenizer files; a new one is stored as float32.
 *
 * @param options - `card`: what the directory says of the model, beside what the source says.
 * @throws InputError when the folder holds a model already and `force` is not set.
 */
export async function saveModel(
  folder: string,
  model: Model,
  { force = false, card }: { force?: boolean; card?: ModelCard } = {},
): Promise<void> {
  if (!force) await requireNoModel(folder);
  await mkdir(folder, { recursive: true });
  const original = model.source ? await readTensorFiles(model.source) : undefined;
  const files = original?.shards ?? [
    { name: 'model.safetensors', file: { tensors: newTensors(model), metadata: { format: 'pt' } } },
  ];
  for (const { name, file } of files) {
    const tensors = original ? file.tensors.map((tensor) => updated(tensor, model.weights)) : file.tensors;
    await writeSafetensors(join(folder, name), { tensors, metadata: file.metadata });
  }
  if (model.source) await copyCompanions(model.source, folder);
  if (card) await writeModelCard(folder, model, card);
  // Last, so that a folder that has it is whole.
  await writeFileAtomic(join(folder, 'config.json'), await configText(model, card));
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
  const counters = buildForward(model, 1).scope.state.filter(({ kind }) => kind === 'counter');
  const counts = new Set(counters.map(({ name }) => name));
  return [...model.weights].map(([name, { shape, data }]) =>
    fromFloat32(data, { name, dtype: counts.has(name) ? 'I64' : 'F32', shape }),
  );
}

function updated(tensor: StoredTensor, weights: StateDict): StoredTensor {
  const weight = weights.get(tensor.name);
  return weight ? fromFloat32(weight.data, tensor) : tensor;
}

/** Copies the shard index and tokenizer files; links stay behind. */
async function copyCompanions(from: string, to: string): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true });
  const wanted = entries.filter(
    (entry) => entry.isFile() && (entry.name === 'model.safetensors.index.json' || companionPattern.test(entry.name)),
  );
  for (const { name } of wanted) {
    await writeFileAtomic(join(to, name), await readFileCapped(join(from, name), maxCompanionBytes));
  }
}
