import { z } from 'zod';
import { courseOptions, optimizerOptions, optimizers, withOptimizers } from '../../training/index.js';
import { budgetOptions } from '../budget.js';
import { retainOption } from '../retain.js';

/** The push on singular values is no part of the graph, so an optimizer that asks for more than the gradient is refused. */
const gradientOptimizers = optimizers.entries().filter((entry) => entry.create().needs === undefined);

const patterns = z.array(z.string().min(1));

/** Options of Algorithm 1, before those of each optimizer. */
export const ownOptions = z.strictObject({
  alpha: z
    .number()
    .min(0)
    .max(1)
    .default(0.99)
    .describe('weight α of the retain loss; 1 − α is the push on the singular values'),
  topK: z
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe("how many of the largest singular values of each matrix are raised, the paper's k"),
  ...courseOptions({ steps: 4000, schedule: 'constant' }),
  learningRate: z.number().positive().default(1e-3).describe('learning rate η'),
  ...optimizerOptions({
    optimizer: 'adamw',
    among: gradientOptimizers,
    description: 'optimizer of the lock, one that needs the gradient alone',
  }),
  batchSize: z.int().min(1).default(64).describe('examples a step'),
  retain: retainOption,
  lead: z
    .strictObject({
      share: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe('share of the steps on the leading matrices alone, before all; 0: Algorithm 1 as printed'),
      topK: z.int().min(1).max(64).default(8).describe('how many singular values of each leading matrix are raised'),
      include: patterns.default(['*conv*']).describe('names of the leading matrices, * stands for any characters'),
    })
    .prefault({})
    .describe('matrices that are pushed alone first, because beside the others they would hardly rise'),
  include: patterns.default(['*']).describe('names of the matrices to lock, * stands for any characters'),
  exclude: patterns.default([]).describe('names of matrices to leave alone'),
  targetSigma: z
    .number()
    .positive()
    .optional()
    .describe('a singular value that has come this far is pushed no further'),
  ...budgetOptions({ evaluateEvery: 20 }),
  patience: z
    .int()
    .min(1)
    .default(25)
    .describe('checks in a row outside the utility budget before the lock stops; it ends with the last weights within'),
  exact: z.boolean().default(false).describe('take singular values from a full SVD at every step (slow, for checking)'),
});

/** Options of SpecDef; the defaults were found by measurement (docs/decisions/specdef.md). */
export const specDefOptions = withOptimizers(ownOptions);

/** Parsed options of SpecDef. */
export type SpecDefOptions = z.output<typeof specDefOptions>;
