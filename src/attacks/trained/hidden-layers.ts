import { z } from 'zod';
import { parameterSet, smallestBatch } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import { frozenUse } from '../frozen/frozen-use.js';
import { hiddenLayersOf, hiddenOutput } from '../frozen/hidden-layers.js';
import { isNoWork } from '../trial/work.js';
import { featuresBySeed, fittedPart, noPoint, onceByWeights, widthsOfViews } from './fitted-part.js';
import type { TrainedPart } from './trained-part.js';

/** Numbers of all hidden layers that are kept of an example at most: 4096 examples take 512 MB. */
const most = 2 ** 15;

/** White-box frozen use: leaves the weights as they are and fits a logistic regression to what all hidden layers hold. */
export const hiddenLayers: TrainedPart<Record<string, never>> = {
  name: 'hidden-layers',
  description: 'leave the weights as they are and fit a logistic regression to all hidden layers',
  label: 'white-box use',
  explains:
    'White-box use: the same on what all hidden layers hold, averaged over places or tokens; of random weights those are random features.',
  options: z.strictObject({}),
  ...fittedPart,
  // It takes none, but hours of a regression would then cost less than one step.
  countsSteps: false,
  applies: (start) =>
    fittedPart.applies(start) ??
    (start.model.build(smallestBatch(start.model)).scope.hidden.length > 0
      ? undefined
      : 'need a model with hidden layers, which this one has not'),
  sees: (model, dataset) => {
    const { shape } = hiddenLayersOf(model).build(smallestBatch(model)).outputs[hiddenOutput];
    return widthsOfViews(shape[1], dataset, most);
  },
  search: async ({
    model,
    prepared,
    weightsOf,
    judge,
    train,
    shared: { test, metric, target },
    evaluator,
    programs,
    budget,
    log,
  }) => {
    const task = { ...taskOf(model), output: hiddenOutput };
    const inside = new Evaluator(hiddenLayersOf(model), {}, { task, programs });
    const given = async (seed: number) => {
      const { weights, work } = await prepared(seed, noPoint);
      // A regression takes no steps that these could be charged to: they would be free.
      if (!isNoWork(work))
        throw new InputError('hidden-layers: expected no transform before it that trains, found one');
      return { weights, evaluator: inside, flops: work.spent.flops };
    };
    const features = featuresBySeed({ weightsOf, given }, most);
    const utility =
      judge &&
      onceByWeights(weightsOf, async (seed) =>
        (await judge(seed, noPoint))(parameterSet((await prepared(seed, noPoint)).weights)),
      );
    const { engine } = programs;
    return frozenUse({ features, train, test, metric, target, utility, task: evaluator.task, engine, budget }, log);
  },
};
