import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { StateDict, Weight } from '../../models/index.js';
import { uncounted } from '../preparation/closed-forms.js';
import { defaultLead, type Raised, raisedOptions } from './clip.js';
import { noneRaised, raisedAsOptions, raisedBeside, raisedCount, unmatchedRaised } from './raised.js';
import { changeMatrices, includeOption, withSingularValues } from './spectrum.js';
import type { Transform } from './transform.js';

const knowsCount = 'how many singular values of each matrix the lock raised';

/** Shares that a search chooses from, the usual one first; all the way is the transform `clip`. */
const shares = [0.5, 0.25, 0.75] as const;

/** Options of the transform `clip-partly`. */
export const partialClipOptions = z.strictObject({
  share: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe(
      `how far the raised singular values go towards the first one below, on a logarithmic scale; 1: all the way; default ${shares.join(', ')}, searched`,
    ),
  ...raisedOptions.shape,
});

/**
 * Brings the singular values that a lock raised a share of the way to the first one below, `σ_j ← σ_j^(1 − s) · σ_{k+1}^s`: what
 * a raise did to the network's function is given up in part only.
 */
export function clipPartly(
  weights: StateDict,
  { share = shares[0], ...raised }: Raised & { share?: number },
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const count = raisedCount(raised);
  return changeMatrices('clip-partly', weights, ['*'], (matrix) => {
    const k = count(matrix.name);
    if (k === 0) return matrix.data.slice();
    const nearer = (sigma: Float64Array) => {
      const level = sigma[Math.min(k, sigma.length - 1)];
      return sigma.slice(0, k).map((value) => value ** (1 - share) * level ** share);
    };
    return withSingularValues(matrix, nearer, tally);
  });
}

/** Cuts back a part of what a lock raised. */
export const partialClipTransform: Transform<z.output<typeof partialClipOptions>> = {
  name: 'clip-partly',
  description: 'bring the raised singular values of each matrix a share of the way to the first one below them',
  options: partialClipOptions,
  isSeeded: false,
  label: { alone: 'clipped in part', joined: 'clip in part' },
  doing: 'clipping the raised singular values in part',
  does: 'cuts the raised singular values back in part',
  knows: knowsCount,
  searched: () => ({ share: shares }),
  learn: ({ raised }) => raised && partialClipOptions.parse(raised),
  applies: ({ isLocked, weights }, options) =>
    isLocked ? noneRaised(weights, options) : 'needs singular values that a lock raised',
  unused: ({ weights }, options) => unmatchedRaised('clip-partly', options, weights, defaultLead),
  apply: ({ weights, tally }, options) => clipPartly(weights, options, tally),
};

/** Options of the transform `subtract`. */
export const subtractOptions = z.strictObject({
  topK: z.int().min(1).max(256).default(4).describe('how many of the largest singular values of each matrix become 0'),
  include: includeOption,
  ...raisedBeside,
});

/** Takes the largest singular directions out of each matrix: `W ← W − Σ_{j ≤ k} σ_j u_j v_jᵀ`. */
export function subtractTop(
  weights: StateDict,
  options: z.output<typeof subtractOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const count = raisedCount(options);
  return changeMatrices('subtract', weights, options.include, (matrix) => {
    const k = count(matrix.name);
    if (k === 0) return matrix.data.slice();
    return withSingularValues(matrix, (sigma) => new Float64Array(Math.min(k, sigma.length)), tally);
  });
}

/** Gives the subspace up that a lock raised. */
export const subtractTransform: Transform<z.output<typeof subtractOptions>> = {
  name: 'subtract',
  description: 'take the largest singular directions out of each matrix',
  options: subtractOptions,
  isSeeded: false,
  label: { alone: 'without its top directions', joined: 'subtract' },
  doing: 'taking the largest singular directions out',
  does: 'takes the largest singular directions out of each matrix',
  knows: knowsCount,
  learn: ({ raised }) => raised && subtractOptions.parse(raisedAsOptions(raised)),
  applies: ({ weights }, options) => noneRaised(weights, options),
  unused: ({ weights }, options) => unmatchedRaised('subtract', options, weights),
  apply: ({ weights, tally }, options) => subtractTop(weights, options, tally),
};
