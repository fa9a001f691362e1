import { z } from 'zod';
import type { LockKnowledge } from '../../locks/index.js';
import type { StateDict } from '../../models/index.js';
import { matchesAny } from '../../registry/index.js';
import { sentences, unmatchedPatterns } from './unmatched.js';

const patterns = z.array(z.string().min(1));

/** Options of what works on raised singular values: which matrices have others than all, beside `topK` and `include`. */
export const raisedBeside = {
  exclude: patterns
    .optional()
    .describe('names of those among them that are left alone, * stands for any characters; default none'),
  lead: z
    .strictObject({
      topK: z.int().min(1).max(64).describe('how many of each of these matrices'),
      include: patterns.describe('names of these matrices, * stands for any characters'),
    })
    .optional()
    .describe('matrices of which more were raised; default none'),
};

/** Singular values that a lock raised, as options say it. */
export interface RaisedValues {
  /** How many of each matrix. */
  readonly topK: number;
  /** Names of the matrices; default all. */
  readonly include?: readonly string[];
  /** Names of those among them that were left alone; default none. */
  readonly exclude?: readonly string[];
  /** Matrices of which more were raised; default none. */
  readonly lead?: { readonly topK: number; readonly include: readonly string[] };
}

/** How many singular values of a matrix were raised, by its name; 0 of one that was left alone. */
export function raisedCount({
  topK,
  include = ['*'],
  exclude = [],
  lead = { topK, include: [] },
}: RaisedValues): (name: string) => number {
  const [wanted, unwanted, leads] = [matchesAny(include), matchesAny(exclude), matchesAny(lead.include)];
  return (name) => {
    if (!wanted(name) || unwanted(name)) return 0;
    return leads(name) ? Math.max(topK, lead.topK) : topK;
  };
}

/** What is known of raised values as options; of matrices that lead where there are some. */
export function raisedAsOptions({ lead, ...raised }: NonNullable<LockKnowledge['raised']>): RaisedValues {
  return { ...raised, ...(lead.include.length > 0 && { lead }) };
}

/**
 * Says which of the names of raised matrices match no weight.
 *
 * @param subject - Whose options they are.
 * @param defaultLead - Patterns for leading matrices that nobody gave.
 */
export function unmatchedRaised(
  subject: string,
  { include = [], exclude = [], lead }: RaisedValues,
  weights: StateDict,
  defaultLead: readonly string[] = [],
): string | undefined {
  return sentences(
    unmatchedPatterns(`${subject}.include`, include, ['*'], weights),
    unmatchedPatterns(`${subject}.exclude`, exclude, [], weights),
    unmatchedPatterns(`${subject}.lead`, lead?.include ?? [], defaultLead, weights),
  );
}

/** Why what works on raised values can do nothing to these weights; undefined where it can. */
export function noneRaised(
  weights: StateDict,
  raised: RaisedValues,
  verb: 'find' | 'finds' = 'finds',
): string | undefined {
  const count = raisedCount(raised);
  const isMatrix = (shape: readonly number[]) => shape.length > 1 && shape[0] > 1;
  if ([...weights].some(([name, { shape }]) => isMatrix(shape) && count(name) > 0)) return undefined;
  const { include = ['*'], exclude = [] } = raised;
  return `${verb} no weight matrix that matches ${include.join(', ')}${exclude.length > 0 ? ` without ${exclude.join(', ')}` : ''}`;
}
