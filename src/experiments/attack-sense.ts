import type { Dataset } from '../data/index.js';
import type { Model, ModelCard, StateDict } from '../models/index.js';
import { taskOf } from '../tasks/index.js';

/** What {@link attackDoubts} looks at. */
export interface AttackSides {
  /** The locked model. */
  readonly locked: Model;
  /** Its card. */
  readonly card: ModelCard;
  /** The model before the lock, where one was given. */
  readonly unlocked?: Model;
  /** Examples of the attack. */
  readonly attack: Dataset;
}

/**
 * Why an attack would measure nothing, one sentence each: it trains what the model is released for, or the model
 * "before the lock" is the locked one.
 */
export function attackDoubts({ locked, card, unlocked, attack }: AttackSides): string[] {
  const doubts = taskOf(locked).doubts(card, attack);
  if (unlocked && sameWeights(locked.weights, unlocked.weights)) {
    doubts.push('the unlocked model has the weights of the locked one, so nothing is compared');
  }
  return doubts;
}

/** Whether two models have the same tensors to the bit, wherever and however they are stored. */
export function sameWeights(a: StateDict, b: StateDict): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, { data }]) => {
    const other = b.get(name)?.data;
    return other?.length === data.length && data.every((value, index) => Object.is(value, other[index]));
  });
}
