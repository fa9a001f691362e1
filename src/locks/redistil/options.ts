import { z } from 'zod';
import { withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';

const patterns = z.array(z.string().min(1));

/** Options of `redistil`. */
export const redistilOptions = withOptimizers(
  z.strictObject({
    a: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('share of fresh initialization in the weights that are distilled into; 1: from scratch'),
    push: z
      .number()
      .min(0)
      .default(0)
      .describe(
        'weight of a term that pushes each matrix away from the original, up to the distance of an unrelated one',
      ),
    barrier: z
      .strictObject({
        weight: z
          .number()
          .min(0)
          .default(0)
          .describe('weight of the term that makes the model half way to the original bad; doubles the time of a step'),
        bound: z
          .number()
          .positive()
          .default(2)
          .describe('retain loss half way to the original from which on it is pushed no further'),
      })
      .prefault({})
      .describe('a barrier half way to the original, against who has a relative of it to average with'),
    ...distilOptions({ steps: 4000, schedule: 'constant', learningRate: 1e-3, settle: 3 }),
    include: patterns.default(['*']).describe('names of the weights to mix, * stands for any characters'),
    exclude: patterns.default([]).describe('names of weights to leave as they are before the distillation'),
  }),
);

/** Parsed options of `redistil`. */
export type RedistilOptions = z.output<typeof redistilOptions>;
