import { z } from 'zod';
import { kindsOfHead, type ModelSpec, type StateDict, type Weight, withOtherHead } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import type { Bench } from '../preparation/bench.js';
import {
  rateSearchOptions,
  searchedShareOption,
  searchedShares,
  stepsOfShare,
  trainAtBestRate,
} from '../preparation/best-rate.js';
import { stepCost } from '../preparation/step-cost.js';
import type { Work } from '../trial/work.js';
import type { Transform } from './transform.js';

/** Options of the transform `pretrain`. */
export const pretrainOptions = z.strictObject({
  share: searchedShareOption(
    'all learning rates included, and each of its own steps counted by what it computes beside one of the task',
  ),
  ...rateSearchOptions,
});

/** Parsed {@link pretrainOptions}. */
export type PretrainOptions = z.output<typeof pretrainOptions>;

/** Heads that name tokens, by which texts without labels can be learned from. */
const tokenHeads = ['causal-lm', 'masked-lm'];

/** The head by which an architecture learns from texts alone: that of its own language model; undefined where it has none. */
function tokenHead(model: ModelSpec): string | undefined {
  return kindsOfHead(model).find((kind) => tokenHeads.includes(kind));
}

/**
 * Trains weights on texts without labels, by their next tokens or, of encoders, by hidden ones, under a head that is drawn where the
 * model has none: those that the attacker has beside his examples, or else the texts of these. What the head learned is dropped.
 *
 * @param weights - Weights of the attacked model.
 * @returns New weights, the same where no rate did better, and what it cost, floating-point operations apart.
 * @see Gururangan et al., "Don't Stop Pretraining", 2020.
 */
export async function pretrainWeights(
  weights: StateDict,
  bench: Bench,
  { share = searchedShares[0], optimizer, learningRates }: PretrainOptions,
  seed: number,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { attacked, own, unlabelled: texts = own, batchSize, signal } = bench;
  const kind = tokenHead(attacked.model) ?? tokenHeads[0];
  const { model, shared } = withOtherHead(attacked.model, weights, { kind, labels: [] }, seed);
  const { programs } = attacked;
  const evaluator = new Evaluator(model, {}, { programs });
  const { task } = evaluator;
  task.requireFit(model, texts);
  const on = { model, evaluator, programs };
  const { params, work } = await trainAtBestRate({
    ...{ on, start: model.weights, examples: texts, optimizer, learningRates, batchSize, seed, signal },
    ...{
      steps: stepsOfShare(share, bench.steps),
      costOfStep: stepCost(bench, texts, on, attacked),
      purpose: 'pretrain',
    },
  });
  if (!params) {
    const why = work.spent.steps > 0 ? 'no learning rate made them better' : 'it had too few steps';
    return { weights, work: { ...work, notes: [`pretrain left the weights alone, as ${why}`] } };
  }
  const learned = Array.from(weights, ([name, weight]) => {
    const data = params.get(shared.get(name) ?? '');
    return [name, data ? { shape: weight.shape, data } : weight] as const;
  });
  return { weights: new Map(learned), work };
}

/** Trains on texts without labels before the trial. */
export const pretrainTransform: Transform<PretrainOptions> = {
  name: 'pretrain',
  description: 'train the weights on texts without labels, by next or hidden tokens',
  options: pretrainOptions,
  isSeeded: true,
  works: true,
  onUnlabelled: true,
  ofAnyone: true,
  alsoOnRandom: true,
  label: { alone: 'pretrained further', joined: 'pretrain' },
  doing: 'training on texts without labels',
  does: 'trains on texts without labels, which is a part of the steps',
  steps: ({ share = searchedShares[0] }, stepsOfTrial) => stepsOfShare(share, stepsOfTrial),
  searched: () => ({ share: searchedShares }),
  applies: ({ model }) => (tokenHead(model) === undefined ? 'finds no head that names the tokens of texts' : undefined),
  apply: async ({ weights, bench, seed, charge }, options): Promise<ReadonlyMap<string, Weight>> => {
    const made = await pretrainWeights(weights, bench(), options, seed);
    charge(made.work);
    return made.weights;
  },
};
