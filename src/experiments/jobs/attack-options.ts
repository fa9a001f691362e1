import { z } from 'zod';
import {
  type AttackSetting,
  type Measure,
  raisedOptions,
  rescaleOptions,
  type StartName,
  type TransformOptions,
} from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import { InputError } from '../../registry/index.js';

const seeds = z.array(z.int().min(0)).min(1);

/** Optimizers that attacks search, with six decades of learning rates each, likely ones first. */
export const commonOptimizers = [
  { name: 'adamw', decades: [-3, -2, -4, -1, -5, 0] },
  { name: 'sgd', options: { momentum: 0.9 }, decades: [-2, -3, -1, -4, 0, -5] },
  { name: 'adadelta', decades: [0, 1, -1, -2, -3, -4] },
] as const satisfies AttackSetting['optimizers'];

const optimizerNames = commonOptimizers.map(({ name }) => name);

/** Options of an attack: the same budget for every starting point. */
export const attackOptions = z.strictObject({
  optimizers: z
    .array(z.enum(optimizerNames))
    .min(1)
    .default(optimizerNames)
    .describe('optimizers to search, each over six decades of learning rates'),
  adaptiveOptimizers: z
    .int()
    .min(1)
    .default(optimizerNames.length)
    .describe('how many of them, from the first, the adaptive attacks try'),
  target: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe('score that counts as success, accuracy of a classifier; the cost is the steps to it'),
  costSteps: z
    .int()
    .min(0)
    .default(240)
    .describe('steps at most where the cost is measured, with all examples; 0: not measured'),
  costBatchSize: z.int().min(1).default(64).describe('examples a step where the cost is measured'),
  perClass: z.int().min(1).default(20).describe('labelled examples of each class where the score is measured'),
  scoreSteps: z.int().min(0).default(40).describe('steps at most where the score is measured; 0: not measured'),
  scoreBatchSize: z.int().min(1).default(32).describe('examples a step where the score is measured'),
  searchSeeds: seeds
    .default([11, 12])
    .describe('seeds of the searches over learning rates: the first for all rates, the others for the two best'),
  seeds: seeds
    .default([1, 2, 3, 4, 5, 6])
    .describe('seeds of the runs that are reported, with the learning rate that the search found'),
  clip: raisedOptions
    .prefault({})
    .describe('adaptive attack: clip the raised singular values first; topK: what the lock raised'),
  reset: z
    .array(z.string().min(1))
    .default(['fc*'])
    .describe('adaptive attack: draw the weights of these names anew first, * stands for any characters'),
  rescale: rescaleOptions
    .prefault({})
    .describe('adaptive attack: rescale the layers first, as a network of ReLUs allows without changing a decision'),
  adaptive: z
    .boolean()
    .default(true)
    .describe('whether to try the adaptive attacks: clip, rescale, reset, and their combinations'),
});

/** Parsed {@link attackOptions}. */
export type AttackOptions = z.output<typeof attackOptions>;

/** Which attacks are tried, with which budgets: the same for every starting point. */
export interface AttackPlan {
  /** Budgets and what each of them measures. */
  readonly budgets: readonly { readonly measures: readonly Measure[]; readonly setting: AttackSetting }[];
  /** The transforms that adaptive attacks may use, and their options; default none. */
  readonly transforms?: TransformOptions;
  /** How many of the optimizers, from the first, the adaptive attacks try; default all. */
  readonly adaptiveOptimizers?: number;
  /** Fine-tunes from these starting points and tries nothing else; default all attacks from all. */
  readonly fineTuneOnly?: readonly StartName[];
  /** What the progress calls it; default `attack` and its label. */
  readonly title?: string;
  /** First part of the names of its tasks, where a run has several plans. */
  readonly label?: string;
}

/** The plan that the options of an attack ask for. */
export function attackPlan(data: DataSpec, options: AttackOptions): AttackPlan {
  const { searchSeeds, seeds: reported, target, perClass, adaptive, clip, rescale, reset } = options;
  const again = searchSeeds.find((seed) => reported.includes(seed));
  if (again !== undefined) {
    throw new InputError(`seeds: expected none of the search, whose results are selected, got ${again} in both`);
  }
  const optimizers = options.optimizers.flatMap((name) => commonOptimizers.filter((known) => known.name === name));
  const shared = { data, optimizers, searchSeeds, seeds: reported };
  const cost = { ...shared, steps: options.costSteps, batchSize: options.costBatchSize, target };
  const score = { ...shared, steps: options.scoreSteps, batchSize: options.scoreBatchSize, perClass };
  return {
    budgets: [
      ...(options.costSteps > 0 ? [{ measures: ['cost'] as const, setting: cost }] : []),
      ...(options.scoreSteps > 0 ? [{ measures: ['score'] as const, setting: score }] : []),
    ],
    adaptiveOptimizers: options.adaptiveOptimizers,
    transforms: adaptive ? { clip, rescale, reset: reset.length > 0 ? { include: reset } : undefined } : {},
  };
}
