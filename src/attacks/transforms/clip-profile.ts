import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { StateDict, Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { countedSingularValues, uncounted } from '../preparation/closed-forms.js';
import {
  changeMatrices,
  includedMatrices,
  includeOption,
  medianOf,
  unusedInclude,
  withSingularValues,
} from './spectrum.js';
import type { Transform } from './transform.js';

/** Options of the transform `clip-profile`. */
export const clipProfileOptions = z.strictObject({ include: includeOption });

/** What a matrix is in its block, whichever block that is: `layer.#.output.dense.weight`. */
const roleOf = (name: string) => name.replaceAll(/\d+/g, '#');

/** The matrices before and after each, of those with the same role. */
function neighbours(weights: StateDict, include: readonly string[]): Map<string, readonly string[]> {
  const byRole = new Map<string, string[]>();
  for (const { name } of includedMatrices(weights, include)) {
    const own = byRole.get(roleOf(name)) ?? [];
    byRole.set(roleOf(name), [...own, name]);
  }
  const found = [...byRole.values()].flatMap((names) =>
    names.map(
      (name, index) => [name, [names[index - 1], names[index + 1]].filter((each) => each !== undefined)] as const,
    ),
  );
  return new Map(found.filter(([, near]) => near.length > 0));
}

/**
 * Clips the singular values of each matrix to the profile of the matrices with the same role in the blocks before and after it:
 * `σ_j ← min(σ_j, m · ρ_j)`, m its own median and ρ_j the least `σ_j / m` of its neighbours. A lock that raised some layers more
 * than others is cut back to those; one that raised all alike is not.
 *
 * @throws InputError where no two matrices have the same role.
 */
export function clipToProfile(
  weights: StateDict,
  { include }: z.output<typeof clipProfileOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const near = neighbours(weights, include);
  if (near.size === 0) throw new InputError('clip-profile: expected two layers of the same kind, found none');
  const profiles = new Map(
    includedMatrices(weights, [...near.keys()]).map((matrix) => {
      const sigma = countedSingularValues(matrix, tally);
      const median = medianOf(sigma);
      return [matrix.name, sigma.map((value) => (median > 0 ? value / median : Number.POSITIVE_INFINITY))];
    }),
  );
  return changeMatrices('clip-profile', weights, [...near.keys()], (matrix) => {
    const others = (near.get(matrix.name) ?? []).map((name) => profiles.get(name) ?? new Float64Array());
    const clipped = (sigma: Float64Array) => {
      const median = medianOf(sigma);
      return sigma.map((value, j) =>
        others.reduce((least, profile) => (j < profile.length ? Math.min(least, median * profile[j]) : least), value),
      );
    };
    return withSingularValues(matrix, clipped, tally);
  });
}

/** Cuts back what stands out of what neighbouring layers have. */
export const clipProfileTransform: Transform<z.output<typeof clipProfileOptions>> = {
  name: 'clip-profile',
  description: 'clip the singular values of each matrix to the profile of the same matrix in the blocks beside it',
  options: clipProfileOptions,
  isSeeded: false,
  label: { alone: 'clipped to its neighbours', joined: 'clip to the neighbours' },
  doing: 'clipping singular values to the profile of neighbouring layers',
  does: 'cuts singular values back to the profile of neighbouring layers',
  applies: ({ weights }, { include }) =>
    neighbours(weights, include).size > 0 ? undefined : 'finds no two layers of the same kind',
  unused: unusedInclude('clip-profile'),
  apply: ({ weights, tally }, options) => clipToProfile(weights, options, tally),
};
