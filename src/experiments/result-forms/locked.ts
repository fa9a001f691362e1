import { z } from 'zod';
import type { LockStory } from '../../locks/index.js';
import { count, evaluation, number, text, utilityChange } from './common.js';

/** What training and locks find. */

/** Form of what a training found. */
export const trained = z.strictObject({ steps: count, evaluation, test: evaluation.optional() });

const spectrum = z.strictObject({ name: text, before: z.array(number), after: z.array(number) });
/** Form of what a lock did. */
export const lockJob = z.strictObject({
  steps: count,
  stepsTried: count,
  stoppedByBudget: z.boolean(),
  budget: z.strictObject({ floor: number, maxKl: number.nullable(), patience: count }).optional(),
  nearest: z
    .strictObject({ step: count, evaluation })
    .describe('of a lock without any check within its budget, the check that missed it by least')
    .optional(),
  before: evaluation.optional(),
  after: evaluation.optional(),
  story: z.custom<LockStory>().optional().describe('what the method did that its options and the spectra do not say'),
  spectra: z.array(spectrum),
  flops: number.optional().describe('floating-point operations that the lock took, checks of utility included'),
  moved: z
    .strictObject({
      ...{ changed: count, of: count, distance: number },
      most: z.strictObject({ name: text, distance: number }).optional(),
    })
    .describe(
      'tensors that changed, of how many, and the Frobenius norm of the change as a share of that of the weights, of all and of the matrix that moved most',
    )
    .optional(),
});
/** Form of what a lock found. */
export const lockedForm = lockJob.extend({ test: utilityChange.optional(), warnings: z.array(text) });
