import { svd, TopSingularSubspace, type TopSingularTriplets } from '../../linalg/index.js';
import type { WeightMatrix } from './matrices.js';

/** Gives the k largest singular triplets of one weight matrix, step after step. */
export interface TripletSource {
  /** Triplets of the matrix as it is now; the arrays are overwritten by the next call. */
  triplets(matrix: Float32Array): TopSingularTriplets;
  /** What the next call builds on; empty where nothing is kept. */
  state(): Float64Array;
  /** Takes back a {@link state}. */
  restore(state: Float64Array): void;
}

/**
 * Lines 4 and 5 of Algorithm 1 for one matrix: the top-k part of its SVD, by block subspace iteration that starts from
 * the step before, or (`exact`) by a full SVD.
 */
export function tripletSource(
  { name, rows, columns }: WeightMatrix,
  k: number,
  seed: number,
  exact: boolean,
): TripletSource {
  if (!exact) {
    const subspace = new TopSingularSubspace({ rows, columns, k, seed, name });
    return {
      triplets: (matrix) => subspace.update(matrix),
      state: () => subspace.state(),
      restore: (state) => subspace.restore(state),
    };
  }
  return {
    triplets: (matrix) => {
      const { sigma, u, v } = svd(matrix, rows, columns);
      const kept = Math.min(k, sigma.length);
      return { sigma: sigma.slice(0, kept), u: firstColumns(u, rows, kept), v: firstColumns(v, columns, kept) };
    },
    state: () => new Float64Array(),
    restore: () => undefined,
  };
}

function firstColumns(matrix: Float64Array, rows: number, count: number): Float32Array {
  const width = matrix.length / rows;
  const kept = new Float32Array(rows * count);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < count; j++) kept[i * count + j] = matrix[i * width + j];
  }
  return kept;
}
