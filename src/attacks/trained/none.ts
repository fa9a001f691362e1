import { z } from 'zod';
import { parameterSet, smallestBatch } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { frozenUse } from '../frozen-use.js';
import { featuresBySeed, fittedPart, noPoint, widthsOfViews } from './fitted-part.js';
import type { TrainedPart } from './trained-part.js';

/** Outputs that are kept of an example at most; wider ones, such as of a vocabulary, are projected. */
const most = 1024;

/** Frozen use: leaves the weights as they are and fits a logistic regression to the outputs. */
export const noWeights: TrainedPart<Record<string, never>> = {
  name: 'none',
  description: 'leave the weights as they are and fit a logistic regression to the outputs',
  label: 'frozen use',
  explains:
    'Frozen use: logistic regression on the outputs, its penalty chosen on held-out training examples; it takes no step of training.',
  options: z.strictObject({}),
  ...fittedPart,
  outputsAlone: true,
  sees: (model, dataset) => {
    const { shape } = model.build(smallestBatch(model)).outputs[taskOf(model).output];
    return widthsOfViews(shape[shape.length - 1], dataset, most);
  },
  search: async ({ released, judge, train, shared: { test, metric, target }, evaluator, programs, budget, log }) =>
    frozenUse(
      {
        ...{ features: featuresBySeed(released, most), train, test, metric, target, task: evaluator.task, budget },
        engine: programs.engine,
        utility: judge && (async (seed) => (await judge(seed, noPoint))(parameterSet((await released(seed)).weights))),
      },
      log,
    ),
};
