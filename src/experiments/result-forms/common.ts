import { z } from 'zod';

/** What all forms of results are made of. */

/** A number; those that JSON lacks are written as text. */
export const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).transform(Number);
/** A whole number from 0. */
export const count = z.int().min(0);
/** From 0 to 1. */
export const share = number;
/** Options by name, of whatever has them. */
export const options = z.record(z.string(), z.unknown());
/** Any text. */
export const text = z.string();

/** Form of a measurement of a model. */
export const evaluation = z
  .strictObject({ n: count, metrics: z.record(text, number.nullable()) })
  .describe('what a task measures, by the names of its metrics; null where there was nothing to measure');
/** Form of measurements in three number types. */
export const byType = z.strictObject({ float32: evaluation, float16: evaluation, bfloat16: evaluation });
/** Form of what a lock did to the authorized task. */
export const utilityChange = z
  .strictObject({ task: text, guessing: share, before: byType, after: byType })
  .describe('utility of a model and of its locked copy, in three number types');
