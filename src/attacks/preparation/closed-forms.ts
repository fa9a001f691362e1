import { createHash } from 'node:crypto';
import type { FlopTally } from '../../engine/index.js';
import {
  exactSingularValues,
  type RealArray,
  type SubspaceOptions,
  type Svd,
  singularValuesFlops,
  svd,
  svdFlops,
  TopSingularSubspace,
  type TopSingularTriplets,
} from '../../linalg/index.js';
import { type Factors, balanced as plainlyBalanced } from '../../symmetries/index.js';

/*
 * What closed forms compute without a graph is the attacker's expense as well, and is counted where it is done: decompositions by the usual
 * counts of `linalg/flops.ts`, everything else as operators of graphs are, a multiplication, an addition, a comparison or a function one
 * each, for each number. What moves or draws numbers counts nothing, as training from scratch draws its own.
 */

/** A tally that nobody reads. */
export const uncounted = (): FlopTally => ({ flops: 0 });

/** Counts so many operations for each of some numbers. */
export function addFlops(tally: FlopTally, numbers: number, operations = 1): void {
  tally.flops += operations * numbers;
}

/** A matrix, `[rows, columns]`. */
interface Matrix<Data extends RealArray = RealArray> {
  readonly data: Data;
  readonly rows: number;
  readonly columns: number;
}

/** A thin SVD, counted. */
export function countedSvd({ data, rows, columns }: Matrix, tally: FlopTally): Svd {
  tally.flops += svdFlops(rows, columns);
  return svd(data, rows, columns);
}

/** All singular values, counted. */
export function countedSingularValues({ data, rows, columns }: Matrix, tally: FlopTally): Float64Array {
  tally.flops += singularValuesFlops(rows, columns);
  return exactSingularValues(data, rows, columns);
}

/** Triplets of large matrices that were found last, and the operations that they took: trials of one model ask for the same again. */
const known = new Map<string, { readonly found: TopSingularTriplets; readonly flops: number }>();
/** Triplets that are kept at most. */
const mostKnown = 256;
/** Smaller matrices take less time than their digests. */
const worthKeeping = 2 ** 14;

/** The largest singular triplets, counted by the iterations that they took, also where they are known. */
export function countedTriplets(data: Float32Array, options: SubspaceOptions, tally: FlopTally): TopSingularTriplets {
  const key = data.length < worthKeeping ? undefined : keyOf(data, options);
  const before = key === undefined ? undefined : known.get(key);
  if (before) {
    tally.flops += before.flops;
    return before.found;
  }
  const subspace = new TopSingularSubspace(options);
  const found = subspace.update(data);
  tally.flops += subspace.flops;
  if (key !== undefined) {
    const [oldest] = known.keys();
    if (known.size === mostKnown && oldest !== undefined) known.delete(oldest);
    known.set(key, { found, flops: subspace.flops });
  }
  return found;
}

function keyOf({ buffer, byteOffset, byteLength }: Float32Array, options: SubspaceOptions): string {
  const digest = createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
  return JSON.stringify([digest, options]);
}

/** A balanced product, counted: three decompositions, and the products between them. */
export function countedBalanced(factors: Factors, inner: number, tally: FlopTally): Factors {
  const [rows, columns] = [factors.left.length / inner, factors.right.length / inner];
  const [a, b] = [Math.min(rows, inner), Math.min(columns, inner)];
  const rank = Math.min(a, b);
  tally.flops += svdFlops(rows, inner) + svdFlops(inner, columns) + svdFlops(a, b);
  tally.flops += 2 * a * b * (inner + 1) + 2 * rank * (a * rows + b * columns);
  return plainlyBalanced(factors, inner);
}
