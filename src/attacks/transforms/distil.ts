import { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import { div } from '../../graph/index.js';
import { initializeModel, type ModelSpec, parameterSet, type StateDict, type Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { type Bench, mostExamples } from '../preparation/bench.js';
import {
  rateSearchOptions,
  searchedShareOption,
  searchedShares,
  stepsOfShare,
  trainAtBestRate,
} from '../preparation/best-rate.js';
import { stepCost } from '../preparation/step-cost.js';
import { withValues } from '../preparation/train-weights.js';
import type { Work } from '../trial/work.js';
import type { Transform } from './transform.js';

/** What a search chooses from, the usual one first. */
const temperatures = [1, 2, 4] as const;

/** Options of the transform `distil`. */
export const distilOptions = z.strictObject({
  inputs: z
    .enum(['auto', 'own', 'retain', 'unlabelled'])
    .default('auto')
    .describe(
      "what the released model is asked about: the attacker's own examples, those like the authorized task's (retain), or those without labels; auto: those of which there are more",
    ),
  share: searchedShareOption("all learning rates and the released model's answers included"),
  temperature: z
    .number()
    .min(1)
    .max(100)
    .optional()
    .describe(
      `what the logits of both are divided by, so that unlikely answers count more; default ${temperatures.join(', ')}, searched`,
    ),
  ...rateSearchOptions,
});

/** Parsed {@link distilOptions}. */
export type DistilOptions = z.output<typeof distilOptions>;

/**
 * Black-box distillation: fresh weights learn to give what the released model gives, by the divergence of its task (KL of a
 * classifier, cosine of embeddings), on inputs alone. Nothing of the released weights is used but to compute outputs, which is
 * charged: all steps, of all learning rates, and all passes of the released model take as many steps of a trial as they compute.
 *
 * @param fresh - Weights of the attacked model, drawn anew: those that training from scratch begins with.
 * @returns The student, `fresh` where no rate made it better, and what it cost, floating-point operations apart.
 * @throws InputError where there are no examples of the kind that it is told to use.
 * @see Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; the divergence of softened outputs is not
 * multiplied by the temperature's square, which the search over learning rates stands for.
 */
export async function distilOutputs(
  fresh: StateDict,
  bench: Bench,
  { inputs, share = searchedShares[0], temperature = temperatures[0], optimizer, learningRates }: DistilOptions,
  seed: number,
): Promise<{ readonly weights: StateDict; readonly work: Work }> {
  const { released, batchSize, signal } = bench;
  const { architecture, config } = released.model;
  const examples = inputsOf(bench, inputs);
  // A head that the attacker's task does not have is drawn here.
  const drawn = initializeModel(architecture.name, config as Record<string, unknown>, seed).weights;
  const { params, work } = await trainAtBestRate({
    ...{
      on: { ...released, model: softened(released.model, temperature) },
      start: withValues(drawn, parameterSet(fresh)),
      original: parameterSet(released.weights),
    },
    ...{ examples, costOfStep: stepCost(bench, examples, released), optimizer, learningRates },
    ...{ seed, batchSize, signal, purpose: 'distil' },
    steps: stepsOfShare(share, bench.steps),
  });
  if (!params) {
    return {
      weights: fresh,
      work: { ...work, notes: ['distil left the student as it was drawn, as no learning rate made it better'] },
    };
  }
  return { weights: withValues(fresh, params), work };
}

/** A model whose logits are divided by a temperature. */
function softened(model: ModelSpec, temperature: number): ModelSpec {
  if (temperature === 1) return model;
  const { output } = taskOf(model);
  return {
    ...model,
    digest: `${model.digest} / ${temperature}`,
    build(batch, options) {
      const pass = model.build(batch, options);
      return { ...pass, outputs: { ...pass.outputs, [output]: div(pass.outputs[output], temperature) } };
    },
  };
}

/** Whether what a model gives are logits: nothing else has a temperature. */
function givesLogits(model: ModelSpec): boolean {
  return taskOf(model).roles.divergence === 'kl';
}

function inputsOf(bench: Bench, inputs: DistilOptions['inputs']): Dataset {
  if (inputs === 'auto') return mostExamples(bench, bench.own, bench.retain, bench.unlabelled);
  if (inputs === 'own') return bench.own;
  const { [inputs]: found } = bench;
  if (found) return found;
  throw new InputError(`distil: expected ${asked[inputs]}, found none`);
}

/** What its inputs are, where an attacker need not have any. */
const asked = { retain: 'examples like those of the authorized task', unlabelled: 'examples without labels' };

/** Puts a fresh student of the released model in its place. */
export const distilTransform: Transform<DistilOptions> = {
  name: 'distil',
  description: 'train a fresh student to give what the released model gives',
  options: distilOptions,
  isSeeded: true,
  works: true,
  onUnlabelled: true,
  outputsAlone: true,
  label: { alone: 'distilled', joined: 'distil' },
  doing: 'distilling what the released model gives into fresh weights',
  does: 'trains fresh weights to give what the released model gives, which is a part of the steps',
  steps: ({ share = searchedShares[0] }, stepsOfTrial) => stepsOfShare(share, stepsOfTrial),
  searched: ({ model }) => ({ share: searchedShares, ...(givesLogits(model) && { temperature: temperatures }) }),
  lacks: ({ inputs }, { hasRetain, hasUnlabelled }) => {
    if (inputs === 'retain' && !hasRetain) return asked.retain;
    return inputs === 'unlabelled' && !hasUnlabelled ? asked.unlabelled : undefined;
  },
  applies: ({ isLocked }) => (isLocked ? undefined : 'learns from the released model alone'),
  unused: ({ model }, { temperature }) =>
    temperature === undefined || givesLogits(model) ? undefined : 'distil.temperature: the model gives no logits',
  apply: async ({ fresh, bench, seed, charge }, options): Promise<ReadonlyMap<string, Weight>> => {
    const made = await distilOutputs(fresh(), bench(), options, seed);
    charge(made.work);
    return made.weights;
  },
};
