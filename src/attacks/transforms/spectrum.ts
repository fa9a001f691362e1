import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { matrixShape, type StateDict, type Weight } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { addFlops, countedSvd, uncounted } from '../preparation/closed-forms.js';
import { unmatchedPatterns } from './unmatched.js';

/** The option of transforms of matrices that says which. */
export const includeOption = z
  .array(z.string().min(1))
  .min(1)
  .default(['*'])
  .describe('names of the weight matrices to change, * stands for any characters');

/** The matrices of a state dict whose names match, with how they are seen as matrices. A vector (first axis of 1) is none. */
export function includedMatrices(weights: StateDict, include: readonly string[]) {
  const matches = matchesAny(include);
  return [...weights].flatMap(([name, { shape, data }]) => {
    const matrix = matrixShape(shape);
    return matrix && matrix.rows > 1 && matches(name) ? [{ name, data, ...matrix }] : [];
  });
}

/** Says which patterns for matrices match no weight. */
export function unusedInclude(subject: string) {
  return ({ weights }: { weights: StateDict }, { include }: { include: readonly string[] }) =>
    unmatchedPatterns(`${subject}.include`, include, ['*'], weights);
}

/** Why a transform of matrices can do nothing to these weights. */
export function noMatrix({ weights }: { weights: StateDict }, { include }: { include: readonly string[] }) {
  return includedMatrices(weights, include).length > 0
    ? undefined
    : `finds no weight matrix that matches ${include.join(', ')}`;
}

/**
 * The weights with each matrix whose name matches changed; all others are copies.
 *
 * @param change - New values of one matrix, `[rows, columns]`.
 * @throws InputError where none matches: that would be plain fine-tuning under another name.
 */
export function changeMatrices(
  subject: string,
  weights: StateDict,
  include: readonly string[],
  change: (matrix: ReturnType<typeof includedMatrices>[number]) => Float32Array,
): Map<string, Weight> {
  const matrices = new Map(includedMatrices(weights, include).map((matrix) => [matrix.name, matrix]));
  if (matrices.size === 0) {
    throw new InputError(`${subject}: expected a pattern that matches a weight matrix, got ${include.join(', ')}`);
  }
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const matrix = matrices.get(name);
      return [name, { shape, data: matrix ? change(matrix) : data.slice() }];
    }),
  );
}

/**
 * A matrix with other singular values and the same vectors, `W + Σ_j (new_j − σ_j) u_j v_jᵀ`.
 *
 * @param newSigma - From all singular values, descending, the new ones of the first of them; further ones stay.
 */
export function withSingularValues(
  matrix: { data: Float32Array; rows: number; columns: number },
  newSigma: (sigma: Float64Array) => ArrayLike<number>,
  tally: FlopTally = uncounted(),
): Float32Array {
  const { data, rows, columns } = matrix;
  const { sigma, u, v } = countedSvd(matrix, tally);
  const rank = sigma.length;
  const wanted = newSigma(sigma);
  const changed = Float64Array.from(data);
  for (let j = 0; j < wanted.length; j++) {
    const difference = wanted[j] - sigma[j];
    if (difference === 0) continue;
    addFlops(tally, data.length, 2);
    for (let i = 0; i < rows; i++) {
      const factor = difference * u[i * rank + j];
      for (let c = 0; c < columns; c++) changed[i * columns + c] += factor * v[c * rank + j];
    }
  }
  return Float32Array.from(changed);
}

/** The middle one of values in descending order. */
export function medianOf(sigma: ArrayLike<number>): number {
  const half = (sigma.length - 1) / 2;
  return (sigma[Math.floor(half)] + sigma[Math.ceil(half)]) / 2;
}
