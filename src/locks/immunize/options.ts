import { z } from 'zod';
import { withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';

/** Options of `immunize`; defaults of the authors' ResNet-18 with Stanford Cars as the harmful task. */
export const immunizeOptions = withOptimizers(
  z.strictObject({
    illWeight: z
      .number()
      .min(0)
      .default(2e6)
      .describe("weight of the term that brings the condition number of an attacker's features up"),
    wellWeight: z
      .number()
      .min(0)
      .default(5e-5)
      .describe("weight of the term that brings the condition number of the owner's features down"),
    termClipNorm: z
      .number()
      .positive()
      .optional()
      .describe(
        'longest gradient of each of the two terms over all parameters, a longer one is scaled down; default: any',
      ),
    ...distilOptions({
      ...{ steps: 1000, schedule: 'constant', learningRate: 1e-5, settle: 0 },
      ...{ optimizer: 'sgd', batchSize: 64, retain: { task: 1, kl: 0 } },
      optimizers: { sgd: { momentum: 0.9, nesterov: true } },
    }),
  }),
);

/** Parsed options of `immunize`. */
export type ImmunizeOptions = z.output<typeof immunizeOptions>;
