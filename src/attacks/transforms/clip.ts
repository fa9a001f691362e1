import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { matrixShape, type StateDict, type Weight } from '../../models/index.js';
import { addFlops, countedSvd, uncounted } from '../preparation/closed-forms.js';
import { noneRaised, raisedBeside, raisedCount, unmatchedRaised } from './raised.js';
import type { Transform } from './transform.js';

const count = z.int().min(1).max(64);
/** Names of the leading matrices, where nobody gives any. */
export const defaultLead = ['*conv*'];

/** How many singular values of each matrix a lock raised, as the options of SpecDef say it; the attacker is taken to know. */
export const raisedOptions = z.strictObject({
  topK: count.default(4).describe('how many singular values of each matrix the lock raised'),
  include: z
    .array(z.string().min(1))
    .optional()
    .describe('names of the matrices that it raised them of, * stands for any characters; default all'),
  exclude: raisedBeside.exclude,
  lead: z
    .strictObject({
      topK: count.default(8).describe('how many of each matrix that the lock pushed alone first'),
      include: z
        .array(z.string().min(1))
        .default(defaultLead)
        .describe('names of those matrices, * stands for any characters'),
    })
    .prefault({})
    .describe('the leading stage of the lock'),
});

/** Parsed {@link raisedOptions}. */
export type Raised = z.output<typeof raisedOptions>;

/**
 * The adaptive attack on a lock that raised the k largest singular values of each matrix: sets them to the first one below
 * that was not raised, `W ← W − Σ_{j ≤ k} (σ_j − σ_{k+1}) u_j v_jᵀ`. Where all of a matrix were raised, they go to its
 * smallest. Weights of one axis stay, and matrices that it left alone.
 *
 * @returns New weights.
 */
export function clipRaised(weights: StateDict, raised: Raised, tally: FlopTally = uncounted()): Map<string, Weight> {
  const count = raisedCount(raised);
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const matrix = matrixShape(shape);
      const k = count(name);
      if (!matrix || k === 0) return [name, { shape, data: data.slice() }];
      return [name, { shape, data: clipMatrix({ data, ...matrix }, k, tally) }];
    }),
  );
}

function clipMatrix(
  matrix: { data: Float32Array; rows: number; columns: number },
  topK: number,
  tally: FlopTally,
): Float32Array {
  const { data, rows, columns } = matrix;
  const { sigma, u, v } = countedSvd(matrix, tally);
  const rank = sigma.length;
  const level = sigma[Math.min(topK, rank - 1)];
  const clipped = data.slice();
  addFlops(tally, data.length, 2 * Math.min(topK, rank));
  for (let j = 0; j < Math.min(topK, rank); j++) {
    for (let i = 0; i < rows; i++) {
      const factor = (sigma[j] - level) * u[i * rank + j];
      for (let c = 0; c < columns; c++) clipped[i * columns + c] -= factor * v[c * rank + j];
    }
  }
  return clipped;
}

/** Cuts back what a lock raised. */
export const clipTransform: Transform<Raised> = {
  name: 'clip',
  description: 'clip the raised singular values of each matrix to the first one below them',
  options: raisedOptions,
  isSeeded: false,
  label: { alone: 'clipped', joined: 'clip' },
  doing: 'clipping the raised singular values',
  does: 'cuts the raised singular values back',
  knows: 'how many singular values of each matrix the lock raised',
  learn: ({ raised }) => raised && raisedOptions.parse(raised),
  applies: ({ isLocked, weights }, raised) =>
    isLocked ? noneRaised(weights, raised) : 'needs singular values that a lock raised',
  unused: ({ weights }, raised) => unmatchedRaised('clip', raised, weights, defaultLead),
  apply: ({ weights, tally }, raised) => clipRaised(weights, raised, tally),
};
