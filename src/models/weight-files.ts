import { join } from 'node:path';
import {
  type FileContent,
  fromFloat32,
  INDEX,
  locateInside,
  type NewFile,
  type OpenTensors,
  openTensors,
  type PendingTensor,
  readJsonFile,
  type SafetensorsFile,
  type Shard,
  SINGLE,
  safetensorsChunks,
  storedByteLength,
  type TensorHeader,
} from '../formats/index.js';
import type { StateSpec } from '../nn/index.js';
import { InputError, quote } from '../registry/index.js';
import { type ModelSpec, modelState } from './architecture.js';
import { requireClassCount } from './class-count.js';
import type { Model, ModelOnDisk } from './model.js';
import { CONFIG_FILE } from './model-files.js';
import { initializeWeights, requireFinite, requireWeights, type Weight, type WeightShapes } from './state-dict.js';
import { type MatchedTensors, matchTensors } from './state-dict-policy.js';
import { takenOver } from './taken-over.js';

const maxIndexBytes = 64 * 2 ** 20;

/** Weights of a folder, as a model has them. */
export type ReadWeights = Pick<Model, 'weights' | 'notes'> & Required<Pick<Model, 'stored'>>;

/** Where a folder's weights are from, and what they are for. */
export interface WeightsNeed {
  /** Where the configuration is from; undefined where the caller gave it. */
  readonly configFile?: string;
  /** Of the weights that the folder lacks and that may be drawn. */
  readonly seed: number;
  /** The model as the folder has it, where this one has another head. */
  readonly own?: ModelSpec;
}

/** What the headers of a folder's weights say of a model. */
interface FoundWeights extends MatchedTensors, Required<Pick<ModelOnDisk, 'weights' | 'stored' | 'notes'>> {
  readonly files: OpenTensors;
}

/**
 * Finds the weights of a folder for a model, from their headers alone.
 *
 * @throws InputError when the tensors are not those of the architecture.
 */
export async function findModelWeights(
  folder: string,
  spec: ModelSpec,
  { configFile, seed, own }: WeightsNeed,
): Promise<FoundWeights> {
  const files = await openTensors(folder);
  const state = modelState(spec);
  const matched = matchFiles(files, spec, folder, state);
  const { declared, unknown, fresh } = matched;
  const shapes = new Map<string, Pick<TensorHeader, 'shape'>>();
  const stored = new Map<string, TensorHeader['dtype']>();
  for (const { name: tensor, dtype, shape } of files.headers) {
    const name = declared.get(tensor);
    if (name === undefined || shapes.has(name)) continue;
    shapes.set(name, { shape });
    stored.set(name, dtype);
  }
  const notes = own ? takenOver(folder, { model: spec, own }, state, shapes) : [];
  for (const header of unknown) shapes.set(header.name, header);
  requireClassCount(shapes, state, spec, { source: folder, configFile });
  const weights: WeightShapes = new Map([...shapes, ...fresh.map((entry) => [entry.name, entry] as const)]);
  requireWeights(weights, state, folder);
  return {
    ...{ ...matched, files, weights, stored },
    notes: fresh.length > 0 ? [...notes, freshNote(folder, fresh, seed)] : notes,
  };
}

/**
 * Reads the weights of a folder for a model, a tensor at a time: its stored bytes are never in memory beside its values.
 *
 * @throws InputError when the tensors are not those of the architecture, or hold NaN or infinities.
 */
export async function readWeights(folder: string, spec: ModelSpec, need: WeightsNeed): Promise<ReadWeights> {
  const { files, declared, fresh, stored, notes } = await findModelWeights(folder, spec, need);
  const weights = new Map<string, Weight>();
  for (const { path, tensors } of files.shards) {
    for (const { name, shape } of tensors) {
      const entry = declared.get(name);
      if (entry === undefined) continue;
      const weight = { shape, data: new Float32Array(shape.reduce((product, length) => product * length, 1)) };
      await files.values(name, weight.data);
      requireFinite(name, weight, path);
      const tied = weights.get(entry);
      if (tied) requireEqual({ name, weight }, { name: entry, weight: tied }, spec, path);
      else weights.set(entry, weight);
    }
  }
  for (const [name, weight] of initializeWeights(fresh, need.seed)) weights.set(name, weight);
  return { weights, stored, notes };
}

function matchFiles(
  files: OpenTensors,
  { architecture, config }: ModelSpec,
  folder: string,
  state: readonly StateSpec[],
): MatchedTensors {
  return matchTensors(files.headers, state, architecture.stateDictPolicy?.(config) ?? {}, folder);
}

/**
 * Tensors that are one parameter must be one in the file too: training would change them together.
 *
 * @throws InputError when their values differ.
 */
export function requireEqual(
  { name, weight }: { name: string; weight: Weight },
  entry: { name: string; weight: Weight },
  { config }: ModelSpec,
  source: string,
): void {
  const { shape, data } = entry.weight;
  if (String(weight.shape) === String(shape) && weight.data.every((value, i) => value === data[i])) return;
  const key = 'tie_word_embeddings';
  const hint = key in (config as object) ? `; where they are to differ, ${CONFIG_FILE} says "${key}": false` : '';
  throw new InputError(
    `${source}: tensor ${quote(name)}: expected the values of ${quote(entry.name)}, to which it is tied, found others${hint}`,
  );
}

function freshNote(folder: string, fresh: MatchedTensors['fresh'], seed: number): string {
  const names = fresh.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  return `${folder} has no ${names}: drawn anew from seed ${seed}, not trained.`;
}

/**
 * The files of a model's weights, converted tensor by tensor as they are written: those of the folder that it was read from,
 * names, order, types and all, or one new file. Files of another format become safetensors, one for each.
 */
export async function weightFiles(folder: string, model: Model): Promise<NewFile[]> {
  const { source } = model;
  if (source === undefined) {
    const file = { tensors: newTensors(model), metadata: { format: 'pt' } };
    return [{ name: SINGLE, content: () => safetensorsChunks(file, join(folder, SINGLE)) }];
  }
  return likeFiles(folder, { ...model, source }, ({ file, path, files, entryOf }) => {
    const tensors = file.tensors.map((header): PendingTensor => {
      const entry = entryOf(header.name);
      const read = async () => (await files.tensor(header.name)).bytes;
      return (entry === undefined ? undefined : pending(model, header, entry)) ?? { ...header, read };
    });
    return safetensorsChunks({ ...file, tensors }, path);
  });
}

/** A file of weights that is to be written like one of a model's source. */
export interface NewWeightFile {
  /** What it will hold: the tensors of the source's file, and in the last those that were drawn. */
  readonly file: SafetensorsFile<TensorHeader>;
  /** Where it will lie. */
  readonly path: string;
  /** The source's weights. */
  readonly files: OpenTensors;
  /** The model's entry that a tensor is; none of what nothing is computed with. */
  readonly entryOf: (tensor: string) => string | undefined;
}

/** Files of weights like those that a model was read from. */
export async function likeFiles(
  folder: string,
  model: ModelOnDisk & { readonly source: string },
  contentOf: (file: NewWeightFile) => FileContent,
): Promise<NewFile[]> {
  const { source } = model;
  const files = await openTensors(source);
  const { declared, fresh } = matchFiles(files, model, source, modelState(model));
  const drawn = fresh.filter(({ name }) => model.weights.has(name));
  const added = drawn.map(({ name, shape }): TensorHeader => ({ name, dtype: 'F32', shape }));
  const own = new Set(added.map(({ name }) => name));
  const entryOf = (name: string) => declared.get(name) ?? (own.has(name) ? name : undefined);
  const last = files.shards.at(-1);
  const isForeign = files.format !== 'safetensors';
  const shards = files.shards.map((shard, index) => {
    const name = isForeign ? shardName(index, files.shards.length) : shard.name;
    const file = {
      ...shard,
      ...(isForeign && { metadata: { format: 'pt' } }),
      tensors: shard === last ? [...shard.tensors, ...added] : [...shard.tensors],
    };
    const content = () => contentOf({ file, path: join(folder, name), files, entryOf });
    return { name, tensors: file.tensors, content };
  });
  if (files.shards.length === 1 && shards[0].name === SINGLE) return shards;
  if (isForeign) return [...shards, { name: INDEX, content: () => newIndex(shards) }];
  if (added.length === 0 || last === undefined) return shards;
  return [...shards, { name: INDEX, content: () => extendedIndex(source, added, last) }];
}

/** A weight as it will be stored, converted when its turn comes; none where the model has no such weight. */
function pending({ weights }: Model, header: TensorHeader, entry: string): PendingTensor | undefined {
  const weight = weights.get(entry);
  return weight && { ...header, read: () => fromFloat32(weight.data, header).bytes };
}

function newTensors(model: Model): PendingTensor[] {
  const counters = modelState(model).filter(({ kind }) => kind === 'counter');
  const counts = new Set(counters.map(({ name }) => name));
  return [...model.weights].flatMap(([name, { shape }]) => {
    const header = { name, dtype: counts.has(name) ? ('I64' as const) : ('F32' as const), shape };
    return pending(model, header, name) ?? [];
  });
}

/** A shard's name as transformers writes it. */
function shardName(index: number, count: number): string {
  if (count === 1) return SINGLE;
  const [own, all] = [index + 1, count].map((number) => String(number).padStart(5, '0'));
  return `model-${own}-of-${all}.safetensors`;
}

function newIndex(shards: readonly { name: string; tensors: readonly TensorHeader[] }[]): string {
  const tensors = shards.flatMap(({ name, tensors: own }) => own.map((tensor) => ({ shard: name, ...tensor })));
  const total = tensors.reduce((sum, { dtype, shape }) => sum + (storedByteLength(dtype, shape) ?? 0), 0);
  const map = Object.fromEntries(tensors.map(({ name, shard }) => [name, shard]));
  return `${JSON.stringify({ metadata: { total_size: total }, weight_map: map }, null, 2)}\n`;
}

/** The index of a folder's shards with tensors that one of them has more. */
async function extendedIndex(folder: string, added: readonly TensorHeader[], { name }: Shard): Promise<string> {
  const path = (await locateInside(folder, INDEX)) ?? join(folder, INDEX);
  const index = (await readJsonFile(path, maxIndexBytes)) as {
    metadata?: { total_size?: unknown };
    weight_map: Record<string, string>;
  };
  const bytes = added.reduce((sum, { dtype, shape }) => sum + (storedByteLength(dtype, shape) ?? 0), 0);
  if (typeof index.metadata?.total_size === 'number') index.metadata.total_size += bytes;
  for (const { name: tensor } of added) index.weight_map[tensor] = name;
  return `${JSON.stringify(index, null, 2)}\n`;
}
