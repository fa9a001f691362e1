import { z } from 'zod';
import { withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';

/** Options of `repnoise`; defaults of the authors' code and of its demonstration: 1,000 examples, once, in batches of 4. */
export const repNoiseOptions = withOptimizers(
  z.strictObject({
    noiseWeight: z
      .number()
      .min(0)
      .default(0.001)
      .describe("weight of the distance from noise of what hidden layers hold of an attacker's examples"),
    ascentWeight: z
      .number()
      .min(0)
      .default(1)
      .describe("weight of the logarithm of the loss on an attacker's examples, which is to rise"),
    ...distilOptions({
      ...{ steps: 250, schedule: 'cosine', learningRate: 1e-4, settle: 0 },
      ...{ batchSize: 4, retain: { task: 1, kl: 0 } },
      schedules: { cosine: { warmupSteps: 25 } },
    }),
  }),
);

/** Parsed options of `repnoise`. */
export type RepNoiseOptions = z.output<typeof repNoiseOptions>;
