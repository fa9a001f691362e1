import { z } from 'zod';

const share = z.number().min(0).max(1);

/** Options of altered copies of texts, which a distillation sees beside the examples. */
export const alterOption = z
  .strictObject({
    copies: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe("altered copies of each text that the original's outputs are learned on too; 0: none"),
    replace: share
      .optional()
      .describe('share of the rare words of a text or pair that others take the place of; default 0.5'),
    rarerThan: z
      .int()
      .min(1)
      .optional()
      .describe('words that the training texts have fewer times are rare; default 20'),
    drop: share.optional().describe('share of the words of a copy that are left out; default 0.05'),
    cross: share
      .optional()
      .describe('share of the copies of pairs whose second text is that of another pair; default 0.1'),
  })
  .superRefine(({ copies, ...others }, context) => {
    const idle = Object.entries(others).find(([, value]) => value !== undefined);
    if (copies > 0 || !idle) return;
    context.addIssue({ code: 'custom', path: [idle[0]], message: 'expected copies beside it, found none' });
  })
  .prefault({})
  .describe('altered copies of the training texts, for more examples than there are');

/** Parsed {@link alterOption}. */
export type AlterOptions = z.output<typeof alterOption>;
