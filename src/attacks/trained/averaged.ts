import { z } from 'zod';
import { partOptionsAt } from '../search/space.js';
import type { Averaging } from '../trial/weight-average.js';
import { searchFineTuning } from './all.js';
import type { TrainedPart } from './trained-part.js';

/** Decays that a search chooses from, the usual one first: averages over some 20, 5 and 100 steps. */
const decays = [0.95, 0.8, 0.99] as const;

/** Options of the trained part `ema`. */
export const emaOptions = z.strictObject({
  decay: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe(`share of the average that each step keeps, fewer at first; default ${decays.join(', ')}, searched`),
});

/** Shares that a search chooses from, the usual one first. */
const shares = [0.5, 0.25, 0.75] as const;

/** Options of the trained part `tail-average`. */
export const tailOptions = z.strictObject({
  share: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe(`share of the steps, the last ones, that are averaged; default ${shares.join(', ')}, searched`),
});

function averagedPart<Options extends Readonly<Record<string, unknown>>>(
  words: Pick<TrainedPart<Options>, 'name' | 'description' | 'label' | 'options' | 'searched'>,
  averagingOf: (options: Options) => Averaging,
): TrainedPart<Options> {
  return {
    ...words,
    trains: true,
    search: (context, given) =>
      searchFineTuning(context, undefined, (point) => ({
        average: averagingOf(partOptionsAt(words.name, given, point)),
      })),
  };
}

/** Trains all weights and uses their exponential moving average. */
export const emaPart = averagedPart(
  {
    name: 'ema',
    description: 'train all weights and use their exponential moving average',
    label: 'fine-tuning, averaged (EMA)',
    options: emaOptions,
    searched: () => ({ decay: decays }),
  },
  ({ decay = decays[0] }) => ({ kind: 'ema', decay }),
);

/** Trains all weights and uses the mean of the last steps. */
export const tailAverage = averagedPart(
  {
    name: 'tail-average',
    description: 'train all weights and use their mean over the last steps',
    label: 'fine-tuning, averaged (tail)',
    options: tailOptions,
    searched: () => ({ share: shares }),
  },
  ({ share = shares[0] }) => ({ kind: 'tail', share }),
);
