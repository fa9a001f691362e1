import { z } from 'zod';
import { courseOptions, optimizerOptions, optimizers, withOptimizers } from '../../training/index.js';
import { budgetOptions } from '../budget.js';

/** Each feed-forward layer is fitted by its gradient alone. */
const gradientOptimizers = optimizers.entries().filter((entry) => entry.create().needs === undefined);

// A batch is small here: each network is trained by itself.
const { accumulate: _, recompute: __, ...course } = courseOptions({ steps: 1000, schedule: 'cosine' });

/** Options of `dlr`. */
export const dlrOptions = withOptimizers(
  z.strictObject({
    depth: z
      .int()
      .min(1)
      .max(1024)
      .default(16)
      .describe('layers of each deep network: training holds what each of them gives'),
    rank: z
      .int()
      .min(1)
      .optional()
      .describe('width of these layers; default so that a network has as many parameters as what it replaces'),
    ...course,
    learningRate: z.number().positive().default(1e-3).describe('learning rate'),
    ...optimizerOptions({
      optimizer: 'adamw',
      among: gradientOptimizers,
      description: 'optimizer of the fits, one that needs the gradient alone',
    }),
    batchSize: z.int().min(1).default(16).describe('examples a step'),
    ...budgetOptions({ evaluateEvery: 50 }),
  }),
);

/** Parsed options of `dlr`. */
export type DlrOptions = z.output<typeof dlrOptions>;
