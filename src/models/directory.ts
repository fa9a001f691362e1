import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
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
import { type Architecture, buildForward, type ModelSpec } from './architecture.js';
import { cnn } from './cnn.js';
import { mlp } from './mlp.js';
import { Registry } from './registry.js';
import { initializeWeights, requireWeights, type StateDict } from './state-dict.js';

/** All architectures by the name that `config.json` gives as `architecture`. */
export const architectures = new Registry<Architecture>('architecture', [cnn, mlp] as Architecture[]);

/** Files beside the weights that belong to a model and are copied as they are; larger ones are refused. */
const companionPattern =
  /^(tokenizer.*|special_tokens_map|vocab|merges|generation_config|preprocessor_config|chat_template)\.(json|txt|model|jinja)$/;
const maxCompanionBytes = 256 * 2 ** 20;

/** A model in memory: float32 weights, whatever type the file stores. */
export interface Model extends ModelSpec {
  /** Weights by name, in file order. */
  readonly weights: StateDict;
  /** The folder it was read from; none for a new model. */
  readonly source?: string;
}

/**
 * Makes a model with fresh weights.
 *
 * @param config - Keys of `config.json`; what is left out takes its default.
 * @throws InputError for an unknown architecture or key.
 */
export function initializeModel(architecture: string, config: Readonly<Record<string, unknown>>, seed: number): Model {
  const spec = modelSpec({ ...config, architecture }, 'config');
  return { ...spec, weights: initializeWeights(buildForward(spec, 1).scope.parameters, seed) };
}

function modelSpec(config: unknown, source: string): ModelSpec {
  const name = z.object({ architecture: z.string() }).safeParse(config);
  if (!name.success) throw new InputError(`${source}: expected a key "architecture", found none`);
  const architecture = architectures.get(name.data.architecture);
  const parsed = architecture.config.safeParse(config);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InputError(`${source}: ${issue.path.join('.') || architecture.name}: ${issue.message}`);
  }
  return { architecture, config: parsed.data };
}

/**
 * Reads a model directory: `config.json` and `model.safetensors` (or its shards).
 *
 * @throws InputError when a file is missing or malformed, or the tensors are not those of the architecture.
 */
export async function loadModel(folder: string): Promise<Model> {
  const info = await stat(folder).catch(() => undefined);
  if (!info?.isDirectory())
    throw new InputError(`${folder}: expected a model directory, found ${info ? 'a file' : 'nothing'}`);
  const spec = modelSpec(await readJsonFile(join(folder, 'config.json')), join(folder, 'config.json'));
  const { tensors } = await readTensorFiles(folder);
  const weights = new Map(tensors.map((tensor) => [tensor.name, { shape: tensor.shape, data: toFloat32(tensor) }]));
  requireWeights(weights, buildForward(spec, 1).scope.parameters, folder);
  return { ...spec, weights, source: folder };
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
 * @throws InputError when the folder holds a model already and `force` is not set.
 */
export async function saveModel(
  folder: string,
  model: Model,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  if (!force) await requireNoModel(folder);
  await mkdir(folder, { recursive: true });
  const original = model.source ? await readTensorFiles(model.source) : undefined;
  const files = original?.shards ?? [
    { name: 'model.safetensors', file: { tensors: newTensors(model.weights), metadata: { format: 'pt' } } },
  ];
  for (const { name, file } of files) {
    const tensors = original ? file.tensors.map((tensor) => updated(tensor, model.weights)) : file.tensors;
    await writeSafetensors(join(folder, name), { tensors, metadata: file.metadata });
  }
  if (model.source) await copyCompanions(model.source, folder);
  else await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(model.config, null, 2)}\n`);
}

function newTensors(weights: StateDict): StoredTensor[] {
  return [...weights].map(([name, { shape, data }]) => fromFloat32(data, { name, dtype: 'F32', shape }));
}

function updated(tensor: StoredTensor, weights: StateDict): StoredTensor {
  const weight = weights.get(tensor.name);
  return weight ? fromFloat32(weight.data, tensor) : tensor;
}

/** Copies the shard index and tokenizer files, `config.json` last so that a folder that has it is whole; links stay behind. */
async function copyCompanions(from: string, to: string): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true });
  const wanted = entries.filter(
    (entry) => entry.isFile() && (entry.name === 'model.safetensors.index.json' || companionPattern.test(entry.name)),
  );
  for (const name of [...wanted.map((entry) => entry.name), 'config.json']) {
    await writeFileAtomic(join(to, name), await readFileCapped(join(from, name), maxCompanionBytes));
  }
}
