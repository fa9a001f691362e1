import type { ModelSpec } from '../models/index.js';
import { InputError, Registry } from '../registry/index.js';
import { causalLm } from './causal-lm/index.js';
import { classification } from './classification/index.js';
import { embedding } from './embedding/index.js';
import { maskedLm } from './masked-lm/index.js';
import type { Task } from './task.js';
import { tokenClassification } from './token-classification/index.js';

export { requireExamples } from './fit.js';
export { logSumExp } from './rows.js';
export type { Evaluation, LabelsAt, Meter, Metric, Outputs, Parts, TargetReader, Task, TopOutputs } from './task.js';
export { LEAST_REST } from './token-losses.js';

/** All tasks by name. */
export const tasks = new Registry<Task>('task', [classification, causalLm, maskedLm, tokenClassification, embedding]);

/** What a model's score is in a task, in words: `accuracy`. */
export function scoreTitle({ metrics, roles }: Task): string {
  return metrics.find(({ name }) => name === roles.score)?.title ?? roles.score;
}

/**
 * The task of a model's head, where none is chosen.
 *
 * @throws InputError when no task has such a head.
 */
export function taskOf({ head }: Pick<ModelSpec, 'head'>): Task {
  const found = tasks.entries().find((task) => task.head === head.kind);
  if (found) return found;
  const known = tasks.entries().map((task) => task.head);
  throw new InputError(`model: expected a head of a known task, ${known.join(', ')}, found ${head.kind}`);
}
