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
interface FoundWeights
  extends Pick<MatchedTensors, 'declared' | 'fresh'>,
    Required<Pick<ModelOnDisk, 'weights' | 'stored' | 'notes'>> {
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
  const { unknown, fresh: missing, ...matched } = matchFiles(files, spec, folder, state);
  const shapes = new Map<string, Pick<TensorHeader, 'shape'>>();
  const stored = new Map<string, TensorHeader['dtype']>();
  for (const { name: tensor, dtype, shape } of files.headers) {
    const name = matched.declared.get(tensor);
    if (name === undefined || shapes.has(name)) continue;
    shapes.set(name, { shape });
    stored.set(name, dtype);
  }
  const hasMore = own?.head.kind === spec.head.kind;
  const outgrown = own && hasMore ? outgrownEntries({ state, shapes }, modelState(own)) : [];
  for (const { name } of outgrown) shapes.delete(name);
  const notes = [
    ...(own && !hasMore ? takenOver(folder, { model: spec, own }, state, shapes) : []),
    ...(own && outgrown.length > 0 ? [outgrownNote(folder, outgrown, { own, spec, seed })] : []),
    ...(missing.length > 0 ? [freshNote(folder, missing, seed)] : []),
  ];
  for (const header of unknown) shapes.set(header.name, header);
  requireClassCount(shapes, state, spec, { source: folder, configFile });
  const fresh = [...missing, ...outgrown];
  const weights: WeightShapes = new Map([...shapes, ...fresh.map((entry) => [entry.name, entry] as const)]);
  requireWeights(weights, state, folder);
  const drawn = new Set(fresh.map(({ name }) => name));
  const declared = new Map([...matched.declared].filter(([, entry]) => !drawn.has(entry)));
  return { declared, fresh, files, weights, stored, notes };
}

/** Entries of a head with more classes that the folder has for its own fewer: they are drawn. */
function outgrownEntries(
  { state, shapes }: { state: readonly StateSpec[]; shapes: ReadonlyMap<string, Pick<TensorHeader, 'shape'>> },
  own: readonly StateSpec[],
): StateSpec[] {
  const ownShapes = new Map(own.map(({ name, shape }) => [name, String(shape)]));
  return state.filter(({ name, shape }) => {
    const before = ownShapes.get(name);
    return before !== undefined && before !== String(shape) && before === String(shapes.get(name)?.shape);
  });
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

function freshNote(folder: string, fresh: readonly StateSpec[], seed: number): string {
  return `${folder} has no ${shapesOf(fresh)}: drawn anew from seed ${seed}, not trained.`;
}

function outgrownNote(
  folder: string,
  outgrown: readonly StateSpec[],
  { own, spec, seed }: { own: ModelSpec; spec: ModelSpec; seed: number },
): string {
  const has = `${folder} has ${own.head.size} classes, not ${spec.head.size}`;
  return `${has}: ${shapesOf(outgrown)} drawn anew from seed ${seed}, not trained.`;
}

function shapesOf(entries: readonly StateSpec[]): string {
  return entries.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
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
  /** What it will hold: the tensors of the source's file, those of a head of fewer classes in their new shape, and in the last those that were drawn. */
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
  const state = new Map(modelState(model).map((entry) => [entry.name, entry]));
  const asDeclared = (header: TensorHeader) => {
    const { shape = header.shape } = state.get(declared.get(header.name) ?? '') ?? {};
    return { ...header, shape };
  };
  const last = files.shards.at(-1);
  const isForeign = files.format !== 'safetensors';
  const shards = files.shards.map((shard, index) => {
    const name = isForeign ? shardName(index, files.shards.length) : shard.name;
    const file = {
      ...shard,
      ...(isForeign && { metadata: { format: 'pt' } }),
      tensors: [...shard.tensors.map(asDeclared), ...(shard === last ? added : [])],
    };
    const content = () => contentOf({ file, path: join(folder, name), files, entryOf });
    return { name, tensors: file.tensors, content };
  });
  if (files.shards.length === 1 && shards[0].name === SINGLE) return shards;
  if (isForeign) return [...shards, { name: INDEX, content: () => newIndex(shards) }];
  const bytes = bytesOf(shards) - bytesOf(files.shards);
  if (bytes === 0 || last === undefined) return shards;
  return [...shards, { name: INDEX, content: () => extendedIndex(source, { added, to: last.name, bytes }) }];
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

/** Bytes of the tensors of some files. */
function bytesOf(files: readonly { readonly tensors: readonly TensorHeader[] }[]): number {
  const tensors = files.flatMap((file) => file.tensors);
  return tensors.reduce((sum, { dtype, shape }) => sum + (storedByteLength(dtype, shape) ?? 0), 0);
}

function newIndex(shards: readonly { name: string; tensors: readonly TensorHeader[] }[]): string {
  const map = Object.fromEntries(shards.flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor.name, name])));
  return `${JSON.stringify({ metadata: { total_size: bytesOf(shards) }, weight_map: map }, null, 2)}\n`;
}

/** The index of a folder's shards with tensors that one of them has more, and with so many more bytes in all. */
async function extendedIndex(
  folder: string,
  { added, to, bytes }: { added: readonly TensorHeader[]; to: string; bytes: number },
): Promise<string> {
  const path = (await locateInside(folder, INDEX)) ?? join(folder, INDEX);
  const index = (await readJsonFile(path, maxIndexBytes)) as {
    metadata?: { total_size?: unknown };
    weight_map: Record<string, string>;
  };
  if (typeof index.metadata?.total_size === 'number') index.metadata.total_size += bytes;
  for (const { name } of added) index.weight_map[name] = to;
  return `${JSON.stringify(index, null, 2)}\n`;
}
