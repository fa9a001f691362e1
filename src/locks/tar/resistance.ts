import {
  cast,
  div,
  exp,
  logSoftmax,
  mul,
  neg,
  reduceMean,
  reduceSum,
  reshape,
  type Tensor,
} from '../../graph/index.js';
import { maskOf } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import type { Task } from '../../tasks/index.js';
import type { TarOptions } from './options.js';

/**
 * A task whose loss is low where an attacked model is of no use: minus the entropy of the answers, which is bounded by the number of
 * answers, or minus the task's own loss, which is not.
 *
 * @throws InputError for a task without a loss.
 */
export function resistanceTask(task: Task, resistance: TarOptions['resistance']): Task {
  const { loss } = task;
  if (!loss) throw new InputError(`tar: expected a task with a loss, found ${task.name}`);
  return {
    ...task,
    name: `${task.name}, minus ${resistance}`,
    loss: resistance === 'entropy' ? negativeEntropy : (output, target) => neg(loss(output, target)),
  };
}

/** `mean Σ p log p` of logits `[..., answers]`, over examples or over tokens that are no padding. */
function negativeEntropy(logits: Tensor): Tensor {
  const logs = logSoftmax(reshape(logits, [-1, logits.shape[logits.rank - 1]]), 1);
  const each = reduceSum(mul(exp(logs), logs), { axes: [1] });
  const mask = logits.rank === 3 ? maskOf(logits.graph) : undefined;
  if (!mask) return reduceMean(each);
  const counted = reshape(cast(mask, logits.dtype), [-1]);
  return div(reduceSum(mul(each, counted)), reduceSum(counted));
}
