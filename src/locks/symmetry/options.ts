import { z } from 'zod';
import { type BudgetOptions, budgetOptions } from '../budget.js';

const patterns = z.array(z.string().min(1));

const { evaluateEvery: _, ...budget } = budgetOptions({ evaluateEvery: 1 });

/**
 * Options that all symmetry locks have. The budget is of what rounding the stored weights costs, and is held where examples of the
 * authorized task are given.
 */
export const symmetryOptions = {
  include: patterns.default(['*']).describe('names of the weights that may be changed, * stands for any characters'),
  exclude: patterns.default([]).describe('names of weights to leave alone'),
  ...budget,
};

/** What {@link symmetryOptions} give. */
export interface SymmetryOptions extends Omit<BudgetOptions, 'evaluateEvery'> {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** A power of two, so that multiplying by it rounds nothing. */
export function powerOfTwo(most: number) {
  return z
    .number()
    .min(2)
    .max(most)
    .refine((value) => Number.isInteger(Math.log2(value)), { message: 'expected a power of two' });
}
