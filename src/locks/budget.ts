import { z } from 'zod';
import type { UtilityMeter } from './lock-method.js';

/**
 * Options of what a lock may cost.
 *
 * @param defaults - `evaluateEvery`: steps between two checks.
 */
export function budgetOptions({ evaluateEvery }: { evaluateEvery: number }) {
  return {
    maxDrop: z
      .number()
      .min(0)
      .max(1)
      .default(0.005)
      .describe(
        'score that the lock may cost, accuracy of a classifier, as a share: its weights are the last ones within that, those before it where none are',
      ),
    utilityFloor: z.number().min(0).max(1).optional().describe('lowest score to accept, instead of maxDrop'),
    maxKl: z
      .number()
      .positive()
      .nullable()
      .default(0.05)
      .describe(
        "largest mean KL divergence of the original's probabilities to the locked model's, in nats, held in the same way; null: any",
      ),
    evaluateEvery: z.int().min(1).default(evaluateEvery).describe('steps between two checks of the utility'),
  };
}

/** What {@link budgetOptions} give. */
export interface BudgetOptions {
  readonly maxDrop: number;
  readonly utilityFloor?: number;
  readonly maxKl: number | null;
  readonly evaluateEvery: number;
}

/** The lowest score that a lock must keep. */
export function utilityFloor(
  { utilityFloor: given, maxDrop }: Pick<BudgetOptions, 'utilityFloor' | 'maxDrop'>,
  { before, task }: Pick<UtilityMeter, 'before' | 'task'>,
): number {
  return given ?? (before.metrics[task.roles.score] ?? 0) - maxDrop;
}
