import { type AttackTask, modelsRead, type TransformStep } from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';

/** Gives another path for each path of something. */
export interface PathMap {
  /** Of a model directory, or a model's only file. */
  model(path: string): Promise<string>;
  /** Of what has a tokenizer. */
  tokenizer(path: string): Promise<string>;
  /** Of a data set, and how it is opened there. */
  data(spec: DataSpec, path: string): Promise<Pick<DataSpec, 'name' | 'path'>>;
}

/** A task with other paths everywhere. */
export async function withPaths(task: AttackTask, map: PathMap): Promise<AttackTask> {
  const { start, transforms, data, benign, retain, unlabelled, authorized } = task;
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
    ...(unlabelled && { unlabelled: await dataWithPaths(unlabelled, map) }),
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
