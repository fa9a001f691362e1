import { z } from 'zod';
import { parameterSet, smallestBatch } from '../../models/index.js';
import { taskOf } from '../../tasks/index.js';
import { frozenTokens } from '../frozen/frozen-tokens.js';
import { frozenUse } from '../frozen/frozen-use.js';
import { featuresBySeed, fittedPart, noPoint, onceByWeights, widthsOfViews } from './fitted-part.js';
import type { TrainedPart } from './trained-part.js';

/** Outputs that are kept of an example at most; wider ones, such as of a vocabulary, are projected. */
const most = 1024;

/** Frozen use: leaves the weights as they are and fits a logistic regression to the outputs, or takes them as they are. */
export const noWeights: TrainedPart<Record<string, never>> = {
  name: 'none',
  description:
    'leave the weights as they are and fit a logistic regression to the outputs, or take those of tokens as they are',
  label: 'frozen use',
  explains:
    'Frozen use: logistic regression on the outputs, its penalty chosen on held-out training examples, or for tasks of tokens the outputs as they are, shifted to how often training texts have each token where that helps on others; it takes no step of training.',
  options: z.strictObject({}),
  ...fittedPart,
  outputsAlone: true,
  applies: (start) => {
    const { answers, tokens } = taskOf(start.model);
    if (answers) return undefined;
    if (!tokens) return fittedPart.applies(start);
    return start.isNewHead ? "need a model whose own outputs are the task's" : undefined;
  },
  sees: (model, dataset) => {
    if (taskOf(model).tokens) return [];
    const { shape } = model.build(smallestBatch(model)).outputs[taskOf(model).output];
    return widthsOfViews(shape[shape.length - 1], dataset, most);
  },
  search: async ({
    released,
    releasedOf,
    weightsOf,
    judge,
    train,
    shared: { test, metric, target },
    evaluator,
    programs,
    budget,
    log,
  }) => {
    const { task } = evaluator;
    // The head may be what the attack began with.
    const judgedOf = (seed: number) => `${releasedOf(seed)} ${weightsOf(seed)}`;
    const utility =
      judge &&
      onceByWeights(judgedOf, async (seed) =>
        (await judge(seed, noPoint))(parameterSet((await released(seed)).weights)),
      );
    const shared = { train, test, metric, target, utility, budget };
    if (!task.answers && task.tokens) return frozenTokens({ ...shared, released }, log);
    return frozenUse(
      {
        ...shared,
        features: featuresBySeed({ weightsOf: releasedOf, given: released }, most),
        task,
        engine: programs.engine,
      },
      log,
    );
  },
};
