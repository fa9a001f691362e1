import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type AttackTask, modelsRead, type TransformStep } from '../../attacks/index.js';
import { type DataSpec, dataFiles } from '../../data/index.js';
import { locateInside, resolveInside } from '../../formats/index.js';
import { findModelFiles } from '../../models/index.js';
import type { ArtifactStore } from '../../queue/index.js';
import { InputError } from '../../registry/index.js';
import { loadTokenizer, tokenizerFiles } from '../../text/index.js';

/** Gives another path for each path of something. */
interface PathMap {
  /** Of a model directory, or a model's only file. */
  model(path: string): Promise<string>;
  /** Of what has a tokenizer. */
  tokenizer(path: string): Promise<string>;
  /** Of a data set, and how it is opened there. */
  data(spec: DataSpec, path: string): Promise<Pick<DataSpec, 'name' | 'path'>>;
}

/** A task with other paths everywhere. */
export async function withPaths(task: AttackTask, map: PathMap): Promise<AttackTask> {
  const { start, transforms, data, benign, retain, authorized } = task;
  const draws = start.kind === 'model' ? start.draws : undefined;
  return {
    ...task,
    start:
      start.kind === 'random'
        ? { ...start, like: await map.model(start.like) }
        : {
            ...start,
            path: await map.model(start.path),
            ...(draws && { draws: await Promise.all(draws.map((path) => map.model(path))) }),
          },
    ...(transforms && { transforms: await Promise.all(transforms.map((step) => stepWithPaths(step, map))) }),
    data: await dataWithPaths(data, map),
    ...(benign && { benign: await dataWithPaths(benign, map) }),
    ...(retain && { retain: await dataWithPaths(retain, map) }),
    ...(authorized && { authorized: await dataWithPaths(authorized, map) }),
  };
}

/** Data with other paths. */
export async function dataWithPaths(data: DataSpec, map: PathMap): Promise<DataSpec> {
  const { path, tokenizer } = data;
  return {
    ...data,
    ...(path !== undefined && (await map.data(data, path))),
    ...(tokenizer !== undefined && { tokenizer: await map.tokenizer(tokenizer) }),
  };
}

/** A transform's options name the models that it reads, and nothing else that is a path. */
async function stepWithPaths(step: TransformStep, map: PathMap): Promise<TransformStep> {
  const read = modelsRead([step]);
  if (read.length === 0) return step;
  const other = new Map(await Promise.all(read.map(async (path) => [path, await map.model(path)] as const)));
  const options = Object.entries(step.options as Record<string, unknown>).map(([key, value]) => [
    key,
    typeof value === 'string' ? (other.get(value) ?? value) : value,
  ]);
  return { ...step, options: Object.fromEntries(options) };
}

/** Puts files into a store and gives their references: each path once. */
export function keptPaths(store: ArtifactStore): PathMap {
  const models = new Map<string, Promise<string>>();
  const tokenizers = new Map<string, Promise<string>>();
  const sets = new Map<string, ReturnType<PathMap['data']>>();
  return {
    model: (path) =>
      once(models, resolve(path), async () => {
        const { folder, read, companions } = await findModelFiles(path);
        const files = [];
        for (const name of [...read, ...companions]) {
          files.push({ name, path: (await locateInside(folder, name)) ?? resolveInside(folder, name) });
        }
        return reference(await store.keepTree(files), folder === path ? undefined : basename(path));
      }),
    tokenizer: (path) =>
      once(tokenizers, resolve(path), async () => {
        const files = [];
        for (const name of Object.keys(tokenizerFiles)) {
          const file = await locateInside(path, name);
          if (file !== undefined) files.push({ name, path: file });
        }
        // Refused here where it is none, and not by a worker.
        await loadTokenizer(path);
        return reference(await store.keepTree(files));
      }),
    data: (spec, path) =>
      once(sets, JSON.stringify([spec.name, resolve(path)]), async () => {
        // The copy's folder has another name, which would say of no data set what it is.
        const { source, folder, names } = await dataFiles(spec);
        const kept = await store.keepTree(names.map((name) => ({ name, path: join(folder, name) })));
        return { name: source, path: reference(kept, (await stat(path)).isFile() ? basename(path) : undefined) };
      }),
  };
}

function once<T>(known: Map<string, Promise<T>>, key: string, keep: () => Promise<T>): Promise<T> {
  const kept = known.get(key) ?? keep();
  known.set(key, kept);
  return kept;
}

/** The places on this machine of what references name. */
export function foundPaths(store: ArtifactStore): PathMap {
  const find = async (text: string) => {
    const [, digest, name] = /^artifact:([0-9a-f]{64})(?:\/([^/\\\0]+))?$/.exec(text) ?? [];
    if (digest === undefined) throw new InputError(`expected artifact: and a digest, found ${JSON.stringify(text)}`);
    const folder = await store.tree(digest);
    return name === undefined ? folder : resolveInside(folder, name);
  };
  return { model: find, tokenizer: find, data: async ({ name }, path) => ({ name, path: await find(path) }) };
}

function reference(digest: string, name?: string): string {
  return name === undefined ? `artifact:${digest}` : `artifact:${digest}/${name}`;
}
