import { z } from 'zod';
import { modelKind } from '../recommend/model-kind.js';
import { scales } from '../reproduce/reproduction.js';
import { advantage, row } from './attacked.js';
import { count, number, share, text, utilityChange } from './common.js';

/** What a reproduction finds. */

const reach = z.strictObject({
  attack: text,
  value: number,
  ranOut: z.boolean().optional(),
  flops: number.optional(),
});
const bounds = {
  ratio: number,
  low: number.optional(),
  high: number.optional(),
  isUpperBound: z.boolean().optional(),
  isLowerBound: z.boolean().optional(),
};
const advantageLeft = z.strictObject({
  ...bounds,
  reached: z
    .strictObject({ locked: reach, unlocked: reach, floor: reach })
    .describe('what the best attacks reach: scores, or steps to the target')
    .optional(),
  overlooked: z
    .strictObject({ ...bounds, reached: reach })
    .describe('the attack that gained more with the reported seeds than the one that the searches chose')
    .optional(),
});

const cell = z.strictObject({ paper: number.optional(), ours: z.array(number), diverged: count.optional() });
/** Form of what `weightlock reproduce` found. */
export const reproduced = z.strictObject({
  name: text,
  title: text,
  scale: z.enum(scales),
  setup: z.array(text),
  tables: z.array(
    z.strictObject({
      title: text,
      reference: text.optional(),
      columns: z.array(text),
      rates: z.strictObject({ name: text, values: z.array(number), metric: text, guessing: share }).optional(),
      rows: z.array(z.strictObject({ label: text, cells: z.array(cell) })),
    }),
  ),
  series: z
    .array(
      z.strictObject({
        title: text,
        name: text,
        x: text,
        y: text,
        mark: number.optional(),
        lines: z.array(
          z.strictObject({
            label: text,
            panel: text.optional(),
            theory: z.boolean().optional(),
            points: z.array(z.strictObject({ x: number, values: z.array(number), missed: count.optional() })),
          }),
        ),
      }),
    )
    .optional(),
  frontier: z
    .strictObject({
      title: text,
      name: text,
      points: z.array(
        z.strictObject({
          model: text,
          method: text,
          kind: modelKind.optional(),
          options: z.record(text, z.unknown()).optional(),
          class: text.optional(),
          controls: z.array(text).optional(),
          diverged: count.optional(),
          lost: z.array(number),
          areaLost: z.array(number).optional(),
          kl: z.array(number),
          score: advantageLeft.optional(),
          cost: advantageLeft.optional(),
          attack: text,
          flops: number.optional(),
          seconds: number,
        }),
      ),
    })
    .optional(),
  scatters: z
    .array(
      z.strictObject({
        title: text,
        name: text,
        quantity: text,
        within: number,
        pairs: z.array(
          z.strictObject({
            panel: text,
            label: text,
            form: text,
            predicted: number.nullable(),
            measured: number.nullable(),
          }),
        ),
      }),
    )
    .optional(),
  utility: z.record(text, utilityChange),
  attacks: z.array(
    z.strictObject({
      task: text,
      metric: text,
      target: number,
      guessing: share,
      rows: z.array(row),
      cost: advantage.optional(),
      score: advantage.optional(),
    }),
  ),
  claims: z.array(
    z.strictObject({ text, source: text, verdict: z.enum(['holds', 'fails', 'unmeasured']), finding: text }),
  ),
  notes: z.array(text).optional(),
  seconds: z.record(text, number),
});
