import { z } from 'zod';
import type { DataSpec } from '../data/index.js';
import type { LockStory } from '../locks/index.js';
import { InputError, inWords } from '../registry/index.js';
import type { AttackedModel } from './attacked.js';
import type { DemoResult } from './demo.js';
import { withCurrentForms } from './older-results.js';
import { modelKind } from './recommend/model-kind.js';
import { type ReproductionResult, scales } from './reproduce/reproduction.js';
import type { LockedInfo, TrainedInfo } from './run/index.js';
import type { SweepResult } from './sweep/cells.js';

/** A number; those that JSON lacks are written as text. */
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).transform(Number);
const count = z.int().min(0);
const share = number;
const options = z.record(z.string(), z.unknown());
const text = z.string();

const evaluation = z
  .strictObject({ n: count, metrics: z.record(text, number.nullable()) })
  .describe('what a task measures, by the names of its metrics; null where there was nothing to measure');
const byType = z.strictObject({ float32: evaluation, float16: evaluation, bfloat16: evaluation });
const utilityChange = z
  .strictObject({ task: text, guessing: share, before: byType, after: byType })
  .describe('utility of a model and of its locked copy, in three number types');

const trained = z.strictObject({ steps: count, evaluation, test: evaluation.optional() });

const spectrum = z.strictObject({ name: text, before: z.array(number), after: z.array(number) });
const lockJob = z.strictObject({
  steps: count,
  stepsTried: count,
  stoppedByBudget: z.boolean(),
  budget: z.strictObject({ floor: number, maxKl: number.nullable(), patience: count }).optional(),
  before: evaluation.optional(),
  after: evaluation.optional(),
  story: z.custom<LockStory>().optional().describe('what the method did that its options and the spectra do not say'),
  spectra: z.array(spectrum),
  flops: number.optional().describe('floating-point operations that the lock took, checks of utility included'),
  moved: z
    .strictObject({
      ...{ changed: count, of: count, distance: number },
      most: z.strictObject({ name: text, distance: number }).optional(),
    })
    .describe(
      'tensors that changed, of how many, and the Frobenius norm of the change as a share of that of the weights, of all and of the matrix that moved most',
    )
    .optional(),
});
/** Form of what a lock found. */
export const lockedForm = lockJob.extend({ test: utilityChange.optional(), warnings: z.array(text) });

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
const row = z
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
const advantage = left
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
const attacked = z.strictObject({
  rows: z.array(row),
  metric: text,
  drawnBy: text.describe('what an attacker with few examples has so many of').optional(),
  cost: advantage.optional(),
  score: advantage.optional(),
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

const sweep = z.strictObject({
  cells: z.array(
    z
      .strictObject({
        name: text,
        model: text,
        lock: text.optional(),
        attacks: text,
        options: options.describe('of the attacks'),
        locks: z.array(lockedForm).describe('its draws; none of a model that was locked before').optional(),
        attacked: attacked.optional(),
        failure: text.optional().describe('why nothing was measured'),
      })
      .describe('a model, a lock of it and the attacks on that'),
  ),
  failed: z.array(z.strictObject({ job: text, message: text })).describe('jobs that failed'),
});

const demo = attacked.extend({
  test: utilityChange,
  sham: utilityChange.describe('what the training of the lock alone does to the authorized task').optional(),
  warnings: z.array(text),
  transformed: z.record(text, share),
  lock: lockJob,
  draws: z.array(z.strictObject({ test: utilityChange, lock: lockJob })).optional(),
  unauthorized: z.strictObject({ train: count, test: count }),
});

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
const reproduced = z.strictObject({
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

/** What each command writes as `result.json`. */
export interface Results {
  /** `weightlock train`. */
  train: TrainedInfo;
  /** `weightlock lock`. */
  lock: LockedInfo;
  /** `weightlock attack`. */
  attack: AttackedModel;
  /** `weightlock demo`. */
  demo: DemoResult;
  /** `weightlock reproduce`. */
  reproduce: ReproductionResult;
  /** `weightlock sweep`. */
  sweep: SweepResult;
}

/** A command whose result has a schema. */
export type ResultKind = keyof Results;

const forms: { readonly [Kind in ResultKind]: z.ZodObject & z.ZodType<Results[Kind]> } = {
  train: trained,
  lock: lockedForm,
  attack: attacked,
  demo,
  reproduce: reproduced,
  sweep,
};

/** Version of the form of a kind of result: another number means that older readers cannot read it. */
const versions: Readonly<Record<ResultKind, number>> = {
  train: 1,
  lock: 1,
  attack: 1,
  demo: 1,
  reproduce: 1,
  sweep: 1,
};

/** Names the form of a result in its file, `weightlock/attack/1`. */
export function resultSchemaName(kind: ResultKind): string {
  return `weightlock/${kind}/${versions[kind]}`;
}

/** All kinds of results. */
export const resultKinds = Object.keys(forms) as ResultKind[];

/** A result as it stands in its file. */
export function toResultFile<Kind extends ResultKind>(kind: Kind, found: Results[Kind]): Record<string, unknown> {
  return { schema: resultSchemaName(kind), ...found };
}

/**
 * Reads a result back, of this version or of one before 0.2.
 *
 * @param source - Its file, for messages.
 * @throws InputError naming the first key that is not of the form.
 */
export function fromResultFile<Kind extends ResultKind>(kind: Kind, value: unknown, source: string): Results[Kind] {
  const { schema, ...found } = z.looseObject({ schema: text.optional() }).catch({}).parse(value);
  const expected = resultSchemaName(kind);
  if (schema !== undefined && schema !== expected) {
    throw new InputError(`${source}: expected a result of the form ${expected}, found ${JSON.stringify(schema)}`);
  }
  const form: z.ZodType<Results[Kind]> = forms[kind];
  const parsed = form.safeParse(schema === undefined ? withCurrentForms(found) : found, { error: inWords });
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new InputError(`${source}: ${path.join('.')}: ${message}`);
}

/** JSON Schema (2020-12) of the file of a kind of result. */
export function resultJsonSchema(kind: ResultKind): Record<string, unknown> {
  const name = resultSchemaName(kind);
  const form = z.strictObject({ schema: z.literal(name), ...forms[kind].shape });
  return {
    $id: name,
    title: `Result of weightlock ${kind}`,
    ...z.toJSONSchema(form, { io: 'input', unrepresentable: 'any' }),
  };
}
