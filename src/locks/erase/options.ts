import { z } from 'zod';
import { withOptimizers } from '../../training/index.js';
import { distilOptions } from '../distil.js';

const patterns = z.array(z.string().min(1));
const rank = z.int().min(1).optional();

/** Share of the energy that is kept where nothing else is said. */
const DEFAULT_ENERGY = 0.95;

/** Options of `erase`. */
export const eraseOptions = withOptimizers(
  z
    .strictObject({
      rank: rank.describe('rank that each matrix keeps; default by energy or by kl'),
      tableRank: rank.describe('rank that each table of embeddings keeps; default as matrices do'),
      energy: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe(
          `share of what a matrix does to the output that it keeps; default ${DEFAULT_ENERGY} without rank or kl`,
        ),
      kl: z
        .number()
        .positive()
        .optional()
        .describe("divergence from the original's outputs that each matrix alone may cost, before healing"),
      proxyWeight: z
        .number()
        .positive()
        .optional()
        .describe(
          'how much what proxies need counts beside what the authorized output does, which goes first; default 1 with proxies',
        ),
      proxyRidge: z
        .number()
        .positive()
        .default(0.01)
        .describe(
          'as ridge, where what proxies need is taken: with less, large weights in rare directions cancel it, which healing does not stand',
        ),
      proxyInclude: patterns
        .optional()
        .describe(
          'names of the matrices that what proxies need goes from, of those to erase from, * stands for any characters; default tables of embeddings, of a model without any all',
        ),
      unseen: z
        .enum(['keep', 'random'])
        .optional()
        .describe(
          'rows of tables that no training example looks up: keep what the others need of them, or put random codes there, which a secret decides; default keep',
        ),
      unseenBelow: z
        .int()
        .min(1)
        .optional()
        .describe('with unseen random: rows that training examples look up fewer times are such rows too; default 1'),
      unseenCodes: z
        .int()
        .min(1)
        .optional()
        .describe(
          'with unseen random: how many codes such rows share, each one of them by chance; default each has its own',
        ),
      examples: z
        .int()
        .min(1)
        .default(1024)
        .describe('training examples that are measured on, at most, drawn by the seed'),
      ridge: z
        .number()
        .positive()
        .default(1e-4)
        .describe('how much directions count that no example shows, as a share of the mean direction'),
      ...distilOptions({ steps: 250, schedule: 'cosine', learningRate: 3e-4, settle: 0 }),
      steps: z.int().min(0).default(250).describe('steps of healing at most; 0: none'),
      include: patterns.default(['*']).describe('names of the matrices to erase from, * stands for any characters'),
      exclude: patterns.default([]).describe('names of matrices to leave alone'),
    })
    .superRefine(({ rank: one, energy, kl, unseen, unseenBelow, unseenCodes }, context) => {
      const idle = Object.entries({ unseenBelow, unseenCodes }).find(([, value]) => value !== undefined);
      if (idle && unseen !== 'random') {
        const message = `expected unseen random beside it, found ${unseen ?? 'keep'}`;
        context.addIssue({ code: 'custom', path: [idle[0]], message });
      }
      const given = Object.entries({ rank: one, energy, kl }).filter(([, value]) => value !== undefined);
      if (given.length < 2) return;
      const message = `expected one of rank, energy and kl, got ${given.map(([name]) => name).join(' and ')}`;
      context.addIssue({ code: 'custom', path: [given[1][0]], message });
    }),
);

/** Parsed options of `erase`. */
export type EraseOptions = z.output<typeof eraseOptions>;

/** The share of energy that options keep, where they say neither rank nor kl. */
export function energyOf({ rank: one, kl, energy }: EraseOptions): number | undefined {
  return one === undefined && kl === undefined ? (energy ?? DEFAULT_ENERGY) : energy;
}
