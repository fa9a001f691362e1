import { z } from 'zod';
import { taskOf } from '../../tasks/index.js';
import { frozenUse } from '../frozen-use.js';
import type { TrainedPart } from './trained-part.js';

/** Frozen use: leaves the weights as they are and fits a logistic regression to the outputs. */
export const noWeights: TrainedPart<Record<string, never>> = {
  name: 'none',
  description: 'leave the weights as they are and fit a logistic regression to the outputs',
  label: 'frozen use',
  options: z.strictObject({}),
  trains: false,
  // One search, whatever optimizers train the model: this is what fits the regression.
  choose: ([first]) => [{ ...first, name: 'lbfgs', options: undefined, schedule: undefined }],
  budget: (budget) => ({ ...budget, decades: [0], refine: false }),
  applies: ({ model }) =>
    taskOf(model).answers ? undefined : 'need examples with an answer each, which the unauthorized task has not',
  search: async ({ released, train, shared: { test, metric, target }, evaluator, budget, log }) =>
    frozenUse({ ...(await released()), train, test, metric, target, task: evaluator.task, budget }, log),
};
