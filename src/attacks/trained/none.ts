import { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import { parameterSet } from '../../models/index.js';
import { featuresOf } from '../features.js';
import { frozenUse } from '../frozen-use.js';
import { fittedPart, once } from './fitted-part.js';
import type { TrainedPart } from './trained-part.js';

/** Outputs that are kept of an example at most; wider ones, such as of a vocabulary, are projected. */
const most = 1024;

/** Frozen use: leaves the weights as they are and fits a logistic regression to the outputs. */
export const noWeights: TrainedPart<Record<string, never>> = {
  name: 'none',
  description: 'leave the weights as they are and fit a logistic regression to the outputs',
  label: 'frozen use',
  options: z.strictObject({}),
  ...fittedPart,
  outputsAlone: true,
  search: async ({ released, train, shared: { test, metric, target }, evaluator, budget, log }) => {
    const { weights, released: own } = await released();
    const params = parameterSet(weights);
    const features = once((dataset: Dataset) => featuresOf(own, params, dataset, most));
    return frozenUse({ features, train, test, metric, target, task: evaluator.task, budget }, log);
  },
};
