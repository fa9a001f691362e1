import { type MatrixShape, type WeightMatrix, type WeightShapes, weightMatrices } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import type { SpecDefOptions } from './options.js';

/**
 * The matrices that a lock raises, and those among them that it pushes alone first: none without such steps.
 *
 * @throws InputError where patterns match none.
 */
export function raisedMatrices(
  weights: WeightShapes,
  { include, exclude, lead }: Pick<SpecDefOptions, 'include' | 'exclude' | 'lead'>,
): { readonly all: readonly WeightMatrix[]; readonly leading: readonly WeightMatrix[] } {
  const all = weightMatrices(weights, { include, exclude });
  if (lead.share === 0) return { all, leading: [] };
  const leads = matchesAny(lead.include);
  const leading = all.filter(({ name }) => leads(name));
  if (leading.length > 0) return { all, leading };
  throw new InputError(
    `lead.include: expected a pattern that matches a matrix to lock, got ${lead.include.join(', ')}`,
  );
}

/**
 * Whether the products with a matrix are left to the engine. One warm update with a block of 8, milliseconds, one thread:
 * 512×4608: 2.5 instead of 13.7 in TypeScript; 128×1152: 0.4 instead of 1.0; 64×576: the same.
 */
export function isLarge({ rows, columns }: MatrixShape): boolean {
  return rows * columns >= 50_000;
}
