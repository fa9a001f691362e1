import type { Program, ProgramCache } from '../../engine/index.js';
import { Graph, gemm, matMul } from '../../graph/index.js';
import { svd, TopSingularSubspace, type TopSingularTriplets } from '../../linalg/index.js';
import type { WeightMatrix } from '../../models/index.js';
import { EXACT_SIDE, leadingBlock } from '../../spectra/index.js';
import { isLarge } from './matrices.js';

/** Gives the k largest singular triplets of one weight matrix, step after step. */
export interface TripletSource {
  /** Triplets of the matrix as it is now; the arrays are overwritten by the next call. */
  triplets(matrix: Float32Array): TopSingularTriplets | Promise<TopSingularTriplets>;
  /** What the next call builds on; empty where nothing is kept. */
  state(): Float64Array;
  /** Takes back what `state` gave. */
  restore(state: Float64Array): void;
}

/** How {@link tripletSource} computes. */
export interface TripletOptions {
  /** A full SVD each time, for checking; default false. */
  exact?: boolean;
  /** Where programs for the products with large matrices are kept; without it they are computed here, in float64. */
  programs?: ProgramCache;
}

/**
 * Lines 4 and 5 of Algorithm 1 for one matrix: the top-k part of its SVD, by block subspace iteration that starts from
 * the step before, or (`exact`) by a full SVD. The first block of a large matrix comes from its Gram matrix.
 */
export function tripletSource(
  { name, rows, columns }: WeightMatrix,
  k: number,
  seed: number,
  { exact = false, programs }: TripletOptions = {},
): TripletSource {
  if (exact) {
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
  const subspace = new TopSingularSubspace({ rows, columns, k, seed, name });
  const products =
    programs && isLarge({ rows, columns }) ? blockProducts(subspace, rows, columns, programs) : undefined;
  const isStartLong = programs && Math.min(rows, columns) > EXACT_SIDE;
  const { k: kept, width } = subspace;
  return {
    triplets: async (matrix) => {
      if (!subspace.warm && isStartLong) {
        const start = await leadingBlock(matrix, { rows, columns, k: kept, width, name, programs });
        if (start) subspace.restore(start);
      }
      return products && subspace.warm ? products(matrix) : subspace.update(matrix);
    },
    state: () => subspace.state(),
    restore: (state) => subspace.restore(state),
  };
}

/** One warm iteration whose products `W·V` and `Wᵀ·Q` run on the engine, in float32. */
function blockProducts(
  subspace: TopSingularSubspace,
  rows: number,
  columns: number,
  programs: ProgramCache,
): (matrix: Float32Array) => Promise<TopSingularTriplets> {
  const { width } = subspace;
  const [v, q] = [new Float32Array(columns * width), new Float32Array(rows * width)];
  const program = (transA: boolean): Promise<Program> =>
    programs.get(`block product ${transA} ${rows} ${columns} ${width}`, () => {
      const graph = new Graph();
      const w = graph.input('w', [rows, columns]);
      const block = graph.input('block', [transA ? rows : columns, width]);
      return { product: transA ? gemm(w, block, undefined, { transA }) : matMul(w, block) };
    });
  return async (matrix) => {
    v.set(subspace.basis);
    const y = (await (await program(false)).run({ w: matrix, block: v })).product as Float32Array;
    q.set(subspace.orthonormalize(y));
    const z = (await (await program(true)).run({ w: matrix, block: q })).product as Float32Array;
    return subspace.ritz(z);
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
