import { join } from 'node:path';
import {
  fromFloat32,
  INDEX,
  locateInside,
  type NewFile,
  type OpenTensors,
  openTensors,
  type PendingTensor,
  readJsonFile,
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
import type { Model } from './model.js';
import { CONFIG_FILE } from './model-files.js';
import { initializeWeights, requireFinite, requireWeights, type Weight } from './state-dict.js';
import { type MatchedTensors, matchTensors } from './state-dict-policy.js';
import { takenOver } from './taken-over.js';

const maxIndexBytes = 64 * 2 ** 20;

/** Weights of a folder, as a model has them. */
export type ReadWeights = Pick<Model, 'weights' | 'notes'> & Required<Pick<Model, 'stored'>>;

/**
 * Reads the weights of a folder for a model, a tensor at a time: its stored bytes are never in memory beside its values.
 *
 * @param options - `configFile`: where the configuration is from; undefined where the caller gave it. `seed`: of the weights
 *   that the folder lacks and that may be drawn. `own`: the model as the folder has it, where this one has another head.
 * @throws InputError when the tensors are not those of the architecture, or hold NaN or infinities.
 */
export async function readWeights(
  folder: string,
  spec: ModelSpec,
  { configFile, seed, own }: { configFile?: string; seed: number; own?: ModelSpec },
): Promise<ReadWeights> {
  const files = await openTensors(folder);
  const state = modelState(spec);
  const { declared, unknown, fresh } = matchFiles(files, spec, folder, state);
  const shapes = new Map<string, Pick<TensorHeader, 'shape'>>();
  for (const header of files.headers) {
    const name = declared.get(header.name);
    if (name !== undefined && !shapes.has(name)) shapes.set(name, header);
  }
  const notes = own ? takenOver(folder, { model: spec, own }, state, shapes) : [];
  for (const header of unknown) shapes.set(header.name, header);
  requireClassCount(shapes, state, spec, { source: folder, configFile });
  requireWeights(new Map([...shapes, ...fresh.map((entry) => [entry.name, entry] as const)]), state, folder);
  const weights = new Map<string, Weight>();
  const stored = new Map<string, TensorHeader['dtype']>();
  for (const { path, tensors } of files.shards) {
    for (const { name, dtype, shape } of tensors) {
      const entry = declared.get(name);
      if (entry === undefined) continue;
      const weight = { shape, data: new Float32Array(shape.reduce((product, length) => product * length, 1)) };
      await files.values(name, weight.data);
      requireFinite(name, weight, path);
      const tied = weights.get(entry);
      if (tied) requireEqual({ name, weight }, { name: entry, weight: tied }, spec, path);
      else {
        weights.set(entry, weight);
        stored.set(entry, dtype);
      }
    }
  }
  for (const [name, weight] of initializeWeights(fresh, seed)) weights.set(name, weight);
  return { weights, stored, notes: fresh.length > 0 ? [...notes, freshNote(folder, fresh, seed)] : notes };
}

function matchFiles(
  files: OpenTensors,
  { architecture, config }: ModelSpec,
  folder: string,
  state: readonly StateSpec[],
): MatchedTensors {
  return matchTensors(files.headers, state, architecture.stateDictPolicy?.(config) ?? {}, folder);
}

/** Tensors that are one parameter must be one in the file too: training would change them together. */
function requireEqual(
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
  const files = await openTensors(source);
  const { declared, fresh } = matchFiles(files, model, source, modelState(model));
  const added = fresh.flatMap((entry) => pending(model, { ...entry, dtype: 'F32' }, entry.name) ?? []);
  const last = files.shards.at(-1);
  const isForeign = files.format !== 'safetensors';
  const shards = files.shards.map((shard, index) => {
    const name = isForeign ? shardName(index, files.shards.length) : shard.name;
    const kept = shard.tensors.map((header): PendingTensor => {
      const entry = declared.get(header.name);
      const read = async () => (await files.tensor(header.name)).bytes;
      return (entry === undefined ? undefined : pending(model, header, entry)) ?? { ...header, read };
    });
    const file = {
      ...shard,
      ...(isForeign && { metadata: { format: 'pt' } }),
      tensors: shard === last ? [...kept, ...added] : kept,
    };
    return { name, tensors: file.tensors, content: () => safetensorsChunks(file, join(folder, name)) };
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
