import { z } from 'zod';
import type { Averaging } from '../weight-average.js';
import { searchFineTuning } from './all.js';
import type { TrainedPart } from './trained-part.js';

/** Options of the trained part `ema`. */
export const emaOptions = z.strictObject({
  decay: z.number().min(0).lt(1).default(0.95).describe('share of the average that each step keeps, fewer at first'),
});

/** Options of the trained part `tail-average`. */
export const tailOptions = z.strictObject({
  share: z.number().gt(0).max(1).default(0.5).describe('share of the steps, the last ones, that are averaged'),
});

function averagedPart<Options>(
  words: Pick<TrainedPart, 'name' | 'description' | 'label'>,
  options: z.ZodType<Options>,
  averagingOf: (options: Options) => Averaging,
): TrainedPart<Options> {
  return {
    ...words,
    options,
    trains: true,
    search: (context, given) => searchFineTuning(context, undefined, averagingOf(given)),
  };
}

/** Trains all weights and uses their exponential moving average. */
export const emaPart = averagedPart(
  {
    name: 'ema',
    description: 'train all weights and use their exponential moving average',
    label: 'fine-tuning, averaged (EMA)',
  },
  emaOptions,
  ({ decay }) => ({ kind: 'ema', decay }),
);

/** Trains all weights and uses the mean of the last steps. */
export const tailAverage = averagedPart(
  {
    name: 'tail-average',
    description: 'train all weights and use their mean over the last steps',
    label: 'fine-tuning, averaged (tail)',
  },
  tailOptions,
  ({ share }) => ({ kind: 'tail', share }),
);
