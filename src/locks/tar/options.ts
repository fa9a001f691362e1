import { z } from 'zod';
import { optimizers, withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';
import { heldOutOption } from '../term-batches.js';

/** Optimizers that need the gradient alone, which the attacks within a step can take. */
const available = optimizers.entries().filter((entry) => entry.create().needs === undefined);

/** What attacked models are to have on held-out examples, with the loss that says how little of it they have. */
export const resistances = ['entropy', 'cross-entropy'] as const;

/** Options of `tar`; defaults of the authors' command for one hazardous domain. */
export const tarOptions = withOptimizers(
  z.strictObject({
    weight: z.number().min(0).default(4).describe('weight of tamper resistance; 0: the retain loss alone'),
    resistance: z
      .enum(resistances)
      .default('entropy')
      .describe('what attacked models are to have much of on held-out examples of the proxies; entropy has a bound'),
    bound: z
      .number()
      .optional()
      .describe(
        'sum of the weighted losses of a step below which its attacks push no further; default: they always do',
      ),
    representations: z
      .number()
      .min(0)
      .default(1)
      .describe('weight of the distance of hidden layers from the original ones, on authorized examples'),
    attacks: z
      .strictObject({
        each: z.int().min(1).max(64).default(1).describe('attacks a step'),
        steps: z.int().min(1).max(4096).default(64).describe('steps of an attack'),
        every: z.int().min(1).default(4).describe('steps of an attack after each of which it is judged'),
        decay: z
          .number()
          .min(0)
          .default(0.0625)
          .describe('what is judged so many steps before the last counts by a factor exp(−decay · steps)'),
        batchSize: z.int().min(1).default(4).describe('examples a step of an attack, and of what it is judged on'),
        optimizers: z
          .array(z.enum(available.map(({ name }) => name) as [string, ...string[]]))
          .min(1)
          .default(['adamw'])
          .describe('optimizers of the attacks, one drawn for each'),
        learningRates: z
          .array(z.number().positive())
          .min(1)
          .default([2e-6, 2e-5, 4e-5])
          .describe('learning rates of the attacks, one drawn for each'),
        heldOut: heldOutOption,
        switchAlpha: z
          .int()
          .min(1)
          .max(64)
          .default(6)
          .describe(
            'first number (α) of the Beta distribution of the share of authorized steps that an attack may begin with',
          ),
        switchBeta: z.int().min(1).max(64).default(3).describe('second number (β) of that distribution'),
      })
      .superRefine(({ steps, every }, context) => {
        if (every <= steps) return;
        const message = `expected at most the steps of an attack, ${steps}, as it would never be judged, got ${every}`;
        context.addIssue({ code: 'custom', path: ['every'], message });
      })
      .prefault({})
      .describe('the attacks that it is trained against'),
    ...distilOptions({
      ...{ steps: 750, schedule: 'constant', learningRate: 2e-5, settle: 0 },
      ...{ optimizer: 'schedule-free-adamw', batchSize: 8, retain: { task: 1, kl: 0 } },
      schedules: { constant: { warmupSteps: 32 } },
    }),
  }),
);

/** Parsed options of `tar`. */
export type TarOptions = z.output<typeof tarOptions>;
