import { z } from 'zod';
import { InputError } from '../registry/index.js';
import type { Reference } from '../training/index.js';
import type { LockContext } from './lock-method.js';

/** Options of a retain loss. */
export const retainOption = z
  .strictObject({
    task: z.number().min(0).default(0).describe('weight of the task loss in the retain loss'),
    kl: z.number().min(0).default(1).describe('weight of the KL divergence to the original model in the retain loss'),
    klTopK: z
      .int()
      .min(1)
      .max(1024)
      .optional()
      .describe(
        "of each token, keep the original's so many most likely answers, with the rest as one, for the KL divergence; default all, which the original computes again in each step",
      ),
  })
  .prefault({})
  .describe('the retain loss');

/** Parsed {@link retainOption}. */
export type RetainOptions = z.output<typeof retainOption>;

/**
 * What a retain loss compares with: what the model said before the lock; undefined where its loss is the task's alone.
 *
 * @throws InputError where some of the answers are to be kept and nothing is compared with them.
 */
export async function retainReference(
  { original }: Pick<LockContext, 'original'>,
  { kl, klTopK }: RetainOptions,
): Promise<Reference | undefined> {
  if (kl > 0) return original(klTopK);
  if (klTopK === undefined) return undefined;
  throw new InputError('retain.klTopK: expected a weight retain.kl of the KL divergence beside it, got 0');
}
