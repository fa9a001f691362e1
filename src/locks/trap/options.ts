import { z } from 'zod';
import { optimizers, withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';
import { heldOutOption } from '../term-batches.js';

/** What an attack begins with: what the released weights are made into first. */
export const attackStarts = ['released', 'clipped', 'reset', 'low-rank'] as const;

/** Name of a start. */
export type AttackStart = (typeof attackStarts)[number];

/** Optimizers that need the gradient alone, which the attacks within a step can take. */
const available = optimizers.entries().filter((entry) => entry.create().needs === undefined);

/** Options of `trap`. */
export const trapOptions = withOptimizers(
  z.strictObject({
    weight: z
      .number()
      .min(0)
      .default(1)
      .describe('weight of what attacked models must not learn; 0: the retain loss alone'),
    bound: z
      .number()
      .positive()
      .optional()
      .describe(
        'loss of an attacked model on the task it was trained for from which on it is pushed no further, in nats; default that of guessing, the logarithm of the number of its answers',
      ),
    attacks: z
      .strictObject({
        each: z.int().min(1).max(64).default(1).describe('attacks a step'),
        steps: z.int().min(1).max(1000).default(16).describe('steps of an attack at most; each has 1 to so many'),
        batchSize: z.int().min(1).default(32).describe('examples a step of an attack'),
        heldOut: heldOutOption,
        optimizers: z
          .array(z.enum(available.map(({ name }) => name) as [string, ...string[]]))
          .min(1)
          .default(['adamw', 'sgd'])
          .describe('optimizers of the attacks; each draws its rate from the decades that attacks search'),
        starts: z
          .array(z.enum(attackStarts))
          .min(1)
          .default([...attackStarts])
          .describe('what the attacks make of the weights first'),
        topK: z
          .int()
          .min(1)
          .max(64)
          .default(4)
          .describe('how many singular values of each matrix a clipped start lacks'),
        rank: z.int().min(1).default(8).describe('rank of each matrix of a low-rank start'),
        reset: z.number().min(0).max(1).default(0.5).describe('share of the matrices that a reset start draws anew'),
      })
      .prefault({})
      .describe('the attacks that it is trained against'),
    ...distilOptions({ steps: 2000, schedule: 'constant', learningRate: 3e-4, settle: 0 }),
  }),
);

/** Parsed options of `trap`. */
export type TrapOptions = z.output<typeof trapOptions>;
