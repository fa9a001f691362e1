import { z } from 'zod';
import type { Dataset } from '../data/index.js';
import { InputError } from '../registry/index.js';
import type { Reference } from '../training/index.js';
import type { LockContext } from './lock-method.js';

/** Options of a retain loss: the KL divergence to the original by default. */
export const retainOption = retainOptionOf({ task: 0, kl: 1 });

/** Options of a retain loss with other weights as defaults. */
export function retainOptionOf({ task, kl }: { task: number; kl: number }) {
  return z
    .strictObject({
      task: z.number().min(0).default(task).describe('weight of the task loss in the retain loss'),
      kl: z
        .number()
        .min(0)
        .default(kl)
        .describe('weight of the KL divergence to the original model in the retain loss'),
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
}

/** Parsed {@link retainOption}. */
export type RetainOptions = z.output<typeof retainOption>;

/**
 * What a retain loss compares with: what the model said before the lock; undefined where its loss is the task's alone.
 *
 * @param dataset - The examples that it is of; default the training examples.
 * @throws InputError where some of the answers are to be kept and nothing is compared with them.
 */
export async function retainReference(
  { original }: Pick<LockContext, 'original'>,
  { kl, klTopK }: RetainOptions,
  dataset?: Dataset,
): Promise<Reference | undefined> {
  if (kl > 0) return original(klTopK, dataset);
  if (klTopK === undefined) return undefined;
  throw new InputError('retain.klTopK: expected a weight retain.kl of the KL divergence beside it, got 0');
}
