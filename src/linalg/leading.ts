import { TopSingularSubspace } from './subspace.js';
import { exactSingularValues } from './svd.js';

/**
 * Shorter side up to which a full SVD costs about as much as the largest few values, so that all of them are had for it.
 * Random matrices, 4 and 8 values, seconds: 384×384 0.10 against 0.07 and 0.14, 512×512 0.32 against 0.14 and 0.27,
 * 768×3072 3.1 against 1.5 and 2.3, 1024×1024 1.8 against 0.5 and 1.0; beyond, a full SVD grows with the cube.
 */
export const EXACT_SIDE = 512;

/** Residual ‖W·v − σ·u‖ / σ at which a value counts as found; it errs by no more, and mostly by the square of it. */
const TOLERANCE = 1e-6;
/** What a residual may be beside σ1: below, products in double precision are rounding. */
const FLOOR = 1e-12;

/**
 * The k largest singular values of a matrix, each within 1e-5 of itself, or within 1e-12 of the largest: by a full SVD up to a shorter side of {@link EXACT_SIDE}, by block subspace iteration beyond. An iteration that
 * does not converge, as among many values a millionth apart, or among those that rounding left of a low rank, gives way to
 * the full SVD.
 *
 * @param matrix - `[rows, columns]`.
 * @param options - `name`: the matrix's, for its random start and for errors.
 * @returns `[min(k, rows, columns)]`, descending.
 * @throws InputError when a value is not finite or the sizes do not fit.
 */
export function leadingSingularValues(
  matrix: Float32Array,
  { rows, columns, k, name }: { rows: number; columns: number; k: number; name: string },
): Float64Array {
  const side = Math.min(rows, columns);
  if (side > EXACT_SIDE) {
    const subspace = new TopSingularSubspace({ rows, columns, k, seed: 1, name });
    // So many pairs cost about what the full SVD does.
    const options = { tolerance: TOLERANCE, floor: FLOOR, maxIterations: Math.max(400, side / 2), deflate: true };
    const { sigma } = subspace.update(matrix, options);
    if (subspace.converged) return sigma;
  }
  return exactSingularValues(matrix, rows, columns).slice(0, k);
}
