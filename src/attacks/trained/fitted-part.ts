import { taskOf } from '../../tasks/index.js';
import type { TrainedPart } from './trained-part.js';

/** What parts that fit a logistic regression have in common: the model stays as it is, and there is no learning rate. */
export const fittedPart = {
  trains: false,
  // One search, whatever optimizers train the model: this is what fits the regression.
  choose: ([first]) => [{ ...first, name: 'lbfgs', options: undefined, schedule: undefined }],
  budget: (budget) => ({ ...budget, decades: [0], refine: false }),
  applies: ({ model }) =>
    taskOf(model).answers ? undefined : 'need examples with an answer each, which the unauthorized task has not',
} satisfies Partial<TrainedPart>;

/** A function that computes what it gives for an argument once. */
export function once<K, V>(compute: (argument: K) => V): (argument: K) => V {
  const computed = new Map<K, V>();
  return (argument) => {
    const found = computed.get(argument) ?? compute(argument);
    computed.set(argument, found);
    return found;
  };
}
