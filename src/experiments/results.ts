import { z } from 'zod';
import { InputError, inWords } from '../registry/index.js';
import type { AttackedModel } from './attacked.js';
import type { DemoResult } from './demo.js';
import { withCurrentForms } from './older-results.js';
import type { ReproductionResult } from './reproduce/reproduction.js';
import { attacked } from './result-forms/attacked.js';
import { demo, sweep } from './result-forms/compared.js';
import { lockedForm, trained } from './result-forms/locked.js';
import { reproduced } from './result-forms/reproduced.js';
import type { LockedInfo, TrainedInfo } from './run/index.js';
import type { SweepResult } from './sweep/cells.js';

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
  const { schema, ...found } = z.looseObject({ schema: z.string().optional() }).catch({}).parse(value);
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
