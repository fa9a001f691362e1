import { z } from 'zod';
import type { DataSpec } from '../../data/index.js';
import { count, evaluation, number, options, share, text } from './common.js';

/** What an attack finds: trials, searches, rows, verdicts. */

const point = z.record(text, z.union([number, text])).describe('what a search varied beside the learning rate');
const spent = z.strictObject({ steps: count, samples: count, flops: number });
const utility = z
  .strictObject({ before: share, after: share })
  .describe("the authorized score of the released model, and of the attacker's weights where they were best");
/** Form of a trial. */
export const trialForm = z.strictObject({
  learningRate: number,
  seed: z.int(),
  curve: z.array(z.strictObject({ step: count, score: share })),
  metrics: evaluation.shape.metrics,
  score: share,
  cost: number.optional(),
  evaluations: number,
  tokens: count.optional(),
  before: z
    .strictObject({
      ...{ steps: count, evaluations: number, tried: number, tokens: count.optional(), spent },
      notes: z.array(text).describe('what came of transforms otherwise than their names say').optional(),
    })
    .describe('what was done to the weights before the first step; a part of the cost')
    .optional(),
  spent: spent.describe('what it took with what was done before it, measurements apart').optional(),
  costFlops: number.optional().describe('floating-point operations until the target was first reached'),
  utility: utility.optional(),
  end: z.enum(['target', 'budget', 'beaten', 'diverged', 'given up', 'halved', 'failed']),
  point: point.optional(),
  failure: text.optional().describe('what went wrong, of a trial that failed'),
});
/** Form of what a search found. */
export const searchForm = z.strictObject({
  search: z.array(trialForm),
  learningRate: number,
  point: point.optional(),
  trials: z.array(trialForm),
  constant: share.describe('the best score of always giving the same answer').optional(),
});
const transform = z.strictObject({ name: text, options });
const chosen = z.looseObject({ name: text, options: options.optional() });
/** Form of one search of an attack, with what it was. */
export const row = z
  .strictObject({
    search: text.optional(),
    start: text,
    kind: text,
    label: text.optional(),
    first: z.array(text),
    use: text,
    trains: z.boolean(),
    plain: z.boolean(),
    adaptive: z.boolean(),
    knows: z.array(text),
    countsAs: z.enum(['locked', 'unlocked', 'floor', 'control', 'nothing']),
    composition: z.strictObject({
      transforms: z.array(transform),
      trained: chosen,
      optimizer: chosen,
      schedule: chosen.optional(),
      data: z.looseObject({ spec: z.custom<DataSpec>(), perClass: count.optional() }).optional(),
    }),
    optimizer: text,
    options: options.optional(),
    measure: z.enum(['cost', 'score']),
    budget: count,
    draws: count.optional(),
    result: searchForm,
    missing: z
      .strictObject({ failed: count, of: count, reason: text, impossible: z.boolean().optional() })
      .describe(
        'reported trials that failed: they count neither for the attacker nor for the lock; impossible: the attack cannot be run here, however often it is tried',
      )
      .optional(),
  })
  .describe('one search of an attack');
const interval = z.strictObject({
  n: count,
  ratio: number,
  low: number.optional(),
  high: number.optional(),
  confidence: number,
});
const left = z.strictObject({
  locked: row,
  value: interval,
  isUpperBound: z.boolean(),
  isLowerBound: z.boolean().optional(),
});
/** Form of an attacker's advantage. */
export const advantage = left
  .extend({
    measure: z.enum(['cost', 'score']),
    unlocked: row,
    floor: row,
    constant: share.describe('the score of always giving the same answer, where the floor is that').optional(),
    over: z.enum(['draws']).optional(),
    overlooked: left
      .describe('the attack that gained more with the reported seeds than the one that the searches chose')
      .optional(),
  })
  .describe("the attacker's advantage that a lock leaves: 1 all of it, 0 none");
const gain = z.strictObject({
  attack: text,
  optimizer: text,
  score: share.optional(),
  cost: z.strictObject({ steps: number, censored: z.boolean().optional() }).optional(),
});
const worstCase = gain.extend({
  utility: utility.optional(),
  floor: gain,
  advantage: interval,
  overlooked: gain
    .extend({ advantage: interval })
    .describe('the attack that gained more with the reported seeds, chosen by them')
    .optional(),
});
const worstCases = z.strictObject({ cost: worstCase.optional(), score: worstCase.optional() });
const advantageValues = z.strictObject({ cost: interval.optional(), score: interval.optional() });
const verdict = z
  .strictObject({
    verdict: z.enum(['holds', 'does not hold', 'cannot tell', 'nothing measured']),
    measure: z.enum(['cost', 'score']).optional(),
    advantage: advantageValues,
    cheapest: z
      .strictObject({
        attack: text,
        optimizer: text,
        adaptive: z.boolean(),
        cost: z.strictObject({ steps: number, censored: z.boolean().optional() }),
        flops: number.optional(),
        slowdown: z
          .strictObject({ median: number.optional(), low: number, high: number.optional(), n: count })
          .optional(),
      })
      .optional(),
    worst: worstCases.describe('the best attack on the locked model by each measure').optional(),
    bounded: z
      .strictObject({ drop: number, worst: worstCases, ruining: z.array(text) })
      .describe('the same among attacks that keep the authorized score within the drop, and those that do not')
      .optional(),
    sham: advantageValues.describe('what the sham lock leaves of the advantage').optional(),
  })
  .describe('what all attacks together say of the lock');
const bestSoFar = z
  .strictObject({
    start: text,
    measure: z.enum(['cost', 'score']),
    seeds: count,
    draws: count,
    confidence: number,
    points: z.array(
      z.strictObject({
        attack: text.optional(),
        optimizer: text.optional(),
        steps: number,
        flops: number,
        score: share,
        low: share.optional(),
        high: share.optional(),
      }),
    ),
  })
  .describe('the score of the best attack so far over the cost of all searches, with intervals over locks and seeds');
/** Form of what `weightlock attack` found. */
export const attacked = z.strictObject({
  rows: z.array(row),
  metric: text,
  drawnBy: text.describe('what an attacker with few examples has so many of').optional(),
  cost: advantage.optional(),
  score: advantage.optional(),
  worth: z
    .strictObject({ n: count, mean: number, low: number.optional(), high: number.optional(), confidence: number })
    .describe('how far the score of the best attack lies above the floor, of a model that was attacked alone')
    .optional(),
  verdict: verdict.optional(),
  failsOnUnlocked: z
    .array(z.strictObject({ attack: text, optimizer: text, measure: z.enum(['cost', 'score']) }))
    .describe('attacks that do not work on the unlocked model, and so measure nothing of the lock')
    .optional(),
  bestSoFar: z.array(bestSoFar).optional(),
  lockFlops: number
    .optional()
    .describe('floating-point operations that the lock took its owner, as the card of the locked model states'),
  notes: z.array(text),
  seconds: z
    .record(text, z.array(number))
    .describe('seconds of each trial by the name of its search: all that is not the same each time')
    .optional(),
});
