import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { StateDict, Weight } from '../../models/index.js';
import { uncounted } from '../preparation/closed-forms.js';
import { changeMatrices, includeOption, medianOf, noMatrix, unusedInclude, withSingularValues } from './spectrum.js';
import type { Transform } from './transform.js';

/** Options of the transform `clip-edge`. */
export const clipEdgeOptions = z.strictObject({
  factor: z.number().positive().default(1).describe('what the edge is multiplied by'),
  include: includeOption,
});

/** Points of the integral; the median then errs by less than 1e-6. */
const points = 4096;

/**
 * Median of the Marchenko-Pastur distribution with ratio `beta` (0 to 1): of the eigenvalues of `X Xᵀ / n`, X `[beta·n, n]` of
 * independent numbers of variance 1.
 *
 * @see Marchenko and Pastur, 1967; Gavish and Donoho, IEEE Trans. Inf. Theory 60 (2014), who estimate noise so.
 */
export function marchenkoPasturMedian(beta: number): number {
  const [low, high] = [(1 - Math.sqrt(beta)) ** 2, (1 + Math.sqrt(beta)) ** 2];
  const [centre, radius] = [(low + high) / 2, (high - low) / 2];
  const eigenvalue = (at: number) => centre - radius * Math.cos((Math.PI * (at + 0.5)) / points);
  const mass = (at: number) =>
    ((radius * Math.sin((Math.PI * (at + 0.5)) / points)) ** 2 * Math.PI) /
    points /
    (2 * Math.PI * beta * eigenvalue(at));
  let sum = 0;
  for (let at = 0; at < points; at++) {
    const next = sum + mass(at);
    if (next >= 0.5) return eigenvalue(at - 0.5 + (0.5 - sum) / (next - sum));
    sum = next;
  }
  return high;
}

/**
 * The largest singular value that noise alone would have, by a matrix's own bulk: the noise level is what gives its median
 * singular value. What a lock raises are few values, which move the median little.
 *
 * @param sigma - All singular values, descending.
 */
export function noiseEdge(sigma: ArrayLike<number>, rows: number, columns: number): number {
  const beta = Math.min(rows, columns) / Math.max(rows, columns);
  return (medianOf(sigma) * (1 + Math.sqrt(beta))) / Math.sqrt(marchenkoPasturMedian(beta));
}

/** Sets all singular values above the edge of noise to it. */
export function clipToEdge(
  weights: StateDict,
  { factor, include }: z.output<typeof clipEdgeOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  return changeMatrices('clip-edge', weights, include, (matrix) =>
    withSingularValues(
      matrix,
      (sigma) => {
        const edge = factor * noiseEdge(sigma, matrix.rows, matrix.columns);
        return sigma.map((value) => Math.min(value, edge));
      },
      tally,
    ),
  );
}

/** Cuts back what stands out of the bulk, whoever put it there. */
export const clipEdgeTransform: Transform<z.output<typeof clipEdgeOptions>> = {
  name: 'clip-edge',
  alsoOnRandom: true,
  description: 'clip the singular values of each matrix to the largest one that noise of its own level would have',
  options: clipEdgeOptions,
  isSeeded: false,
  label: { alone: 'clipped to the edge of noise', joined: 'clip to the edge' },
  doing: 'clipping all singular values that stand out of the bulk',
  does: 'cuts all singular values back that stand out of the bulk of their matrix',
  applies: noMatrix,
  unused: unusedInclude('clip-edge'),
  apply: ({ weights, tally }, options) => clipToEdge(weights, options, tally),
};
