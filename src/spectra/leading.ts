import type { ProgramCache } from '../engine/index.js';
import { Graph, matMul } from '../graph/index.js';
import {
  exactSingularValues,
  multiplyLeft,
  requireShape,
  symmetricEigen,
  TopSingularSubspace,
  type UpdateOptions,
} from '../linalg/index.js';
import { gramMatrix } from './gram.js';

/**
 * Shorter side up to which all singular values are computed wherever some are: a full SVD then takes milliseconds.
 */
export const EXACT_SIDE = 256;
/** Shorter side up to which the Gram matrix is formed: 134 MB in double precision. */
const GRAM_SIDE = 4096;

/** Residual ‖W·v − σ·u‖ / σ at which a value counts as found; it errs by no more, and mostly by the square of it. */
const TOLERANCE = 1e-6;
/** What a residual may be beside σ1: below, products in double precision are rounding. */
const FLOOR = 1e-12;
/** Least eigenvalue of a Gram matrix, beside the largest, that is not its rounding: the root of it errs by 1e-6 at most. */
const GRAM_FLOOR = 1e-9;
/** The same where all values are wanted, which err by no more. */
const ALL_FLOOR = 1e-8;
/** A side that is so many times the other is long: the Gram matrix is then the smaller work. */
const LONG = 3;
/** Vectors beyond those that are wanted: an iteration with a few more takes as long, and fewer are needed. */
const OVERSAMPLE = 8;

/** A matrix and where it is computed with. */
export interface LeadingOptions {
  /** Rows of the matrix. */
  readonly rows: number;
  /** Columns of the matrix. */
  readonly columns: number;
  /** How many values, or vectors. */
  readonly k: number;
  /** Its name, for the random start and for errors. */
  readonly name: string;
  /** Computes the products of large matrices. */
  readonly programs: ProgramCache;
}

/**
 * The k largest singular values of a matrix, each within 1e-5 of itself, or within 1e-12 of the largest: up to a
 * shorter side of {@link EXACT_SIDE} all of them; beyond, as the roots of the largest eigenvalues of its Gram matrix, by block subspace
 * iteration. Where the squares lose values in the rounding of the largest, the iteration works on the matrix itself. One that
 * does not converge, as among many values a millionth apart, or among those that rounding left of a low rank, gives way to
 * the full SVD.
 *
 * @param matrix - `[rows, columns]`.
 * @returns `[min(k, rows, columns)]`, descending.
 * @throws InputError when a value is not finite or the sizes do not fit.
 */
export async function leadingSingularValues(matrix: Float32Array, options: LeadingOptions): Promise<Float64Array> {
  const { rows, columns, k, name } = options;
  requireShape(matrix, rows, columns, name);
  const side = Math.min(rows, columns);
  if (side <= EXACT_SIDE) return (await allSingularValues(matrix, options)).slice(0, k);
  const course = courseOf(side);
  const found =
    side <= GRAM_SIDE ? await gramSubspace(matrix, { ...options, oversample: OVERSAMPLE }, course) : undefined;
  if (found?.isTrusted) return found.sigma.map(Math.sqrt);
  // What does not converge as squares does not by itself.
  if (!found || found.converged) {
    const own = new TopSingularSubspace({ rows, columns, k, seed: 1, name });
    const { sigma } = own.update(matrix, course);
    if (own.converged) return sigma;
  }
  return exactSingularValues(matrix, rows, columns).slice(0, k);
}

/**
 * All singular values of a matrix, each within 1e-6 of itself or within 1e-15 of the largest: of a long one as the roots of the
 * eigenvalues of its Gram matrix, where no value is lost in the rounding of the squares, else by a full SVD.
 *
 * @param matrix - `[rows, columns]`.
 * @returns `[min(rows, columns)]`, descending.
 * @throws InputError when a value is not finite or the sizes do not fit.
 */
export async function allSingularValues(
  matrix: Float32Array,
  { rows, columns, programs }: Pick<LeadingOptions, 'rows' | 'columns' | 'programs'>,
): Promise<Float64Array> {
  const side = Math.min(rows, columns);
  if (side <= GRAM_SIDE && Math.max(rows, columns) >= LONG * side) {
    const { values } = symmetricEigen(await gramMatrix(matrix, { rows, columns }, programs), side);
    if (values[0] >= ALL_FLOOR * values[side - 1]) return values.reverse().map(Math.sqrt);
  }
  return exactSingularValues(matrix, rows, columns);
}

/**
 * A block that spans the leading right singular vectors, from which a {@link TopSingularSubspace} of the same width continues;
 * undefined where the Gram matrix does not give them.
 *
 * @param matrix - `[rows, columns]`.
 * @returns `[columns, width]`, not orthonormal.
 * @throws InputError when a value is not finite.
 */
export async function leadingBlock(
  matrix: Float32Array,
  { width, ...options }: LeadingOptions & { readonly width: number },
): Promise<Float64Array | undefined> {
  const { rows, columns, k } = options;
  if (Math.min(rows, columns) > GRAM_SIDE) return undefined;
  const found = await gramSubspace(matrix, { ...options, oversample: width - k }, { tolerance: 1e-4 });
  if (!found.isTrusted) return undefined;
  const { basis } = found;
  if (basis.length !== Math.min(rows, columns) * width) return undefined;
  if (columns <= rows) return basis;
  const block = new Float64Array(columns * width);
  multiplyLeft(matrix, rows, columns, basis, width, block);
  return block;
}

/** So many pairs of products cost about what the full SVD does. */
function courseOf(side: number): UpdateOptions {
  return { tolerance: TOLERANCE, floor: FLOOR, maxIterations: Math.max(400, side / 2), deflate: true };
}

/** The leading eigenvalues of the Gram matrix with the block that spans their vectors, where they can be trusted. */
async function gramSubspace(
  matrix: Float32Array,
  { rows, columns, k, name, programs, oversample }: LeadingOptions & { oversample: number },
  course: UpdateOptions,
): Promise<{ sigma: Float64Array; basis: Float64Array; converged: boolean; isTrusted: boolean }> {
  const side = Math.min(rows, columns);
  const gram = await gramMatrix(matrix, { rows, columns }, programs);
  const subspace = new TopSingularSubspace({ rows: side, columns: side, k, oversample, seed: 1, name });
  const { width } = subspace;
  const key = `gram product ${side} ${width}`;
  // The matrix is symmetric: both products are the same.
  const { sigma } = await subspace.updateBy(async ({ block, out }) => {
    const program = await programs.get(key, () => {
      const graph = new Graph();
      const [g, b] = [graph.input('gram', [side, side], 'float64'), graph.input('block', [side, width], 'float64')];
      return { product: matMul(g, b) };
    });
    out.set((await program.run({ gram, block })).product as Float64Array);
  }, course);
  const { converged } = subspace;
  const isTrusted = converged && sigma[sigma.length - 1] >= GRAM_FLOOR * sigma[0];
  return { sigma, basis: subspace.state(), converged, isTrusted };
}
