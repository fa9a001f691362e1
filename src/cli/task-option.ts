import { z } from 'zod';
import type { Dataset } from '../data/index.js';
import { givesHead, loadModel, type Model } from '../models/index.js';
import { type Task, taskOf, tasks } from '../tasks/index.js';

const names = tasks.names() as [string, ...string[]];

/** What a model is trained and judged on, where it is not what its head is for. */
export const taskOption = z.enum(names).optional();

/** A model as a task needs it. */
export interface FittedModel {
  /** The task. */
  readonly task: Task;
  /** The model, with a new head where its own is another. */
  readonly model: Model;
}

/**
 * Gives a model the head that a task needs: its own where it is of that kind, else a new one, which the model's notes name.
 *
 * @param options - `name`: of the task; default that of the model's head. `path`: where the model is read from. `config`: in
 *   place of its `config.json`. `seed`: of a new head. `grows`: whether a head of fewer classes than the examples have gives way
 *   to a new one too; default false.
 * @throws InputError when the architecture has no such head.
 */
export async function fitToTask(
  model: Model,
  dataset: Dataset,
  {
    name,
    path,
    config,
    seed,
    grows = false,
  }: { name?: string; path: string; config?: Readonly<Record<string, unknown>>; seed?: number; grows?: boolean },
): Promise<FittedModel> {
  const task = name === undefined ? taskOf(model) : tasks.get(name);
  if (task.head === model.head.kind && !grows) return { task, model };
  const head = task.headFor(dataset);
  return { task, model: givesHead(model, head) ? model : await loadModel(path, { config, head, seed }) };
}

/**
 * The task of an attack, where none is named: of examples that have an answer each to tell them by it, or of words that have
 * one, else the model's own.
 */
export function attackTask(name: string | undefined, model: Model, dataset: Dataset): Task {
  if (name !== undefined) return tasks.get(name);
  if (dataset.examples.tokenClasses) return tasks.get('token-classification');
  const answered = tasks.entries().find(({ answers }) => (answers?.(dataset)?.count ?? 0) > 1);
  return answered ?? taskOf(model);
}
