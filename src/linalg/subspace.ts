import { InputError } from '../registry/index.js';
import { qrFlops, svdFlops } from './flops.js';
import { JacobiSvd } from './jacobi.js';
import { requireShape } from './matrix.js';
import { multiplyLeft, multiplyRight } from './products.js';
import { thinQr } from './qr.js';
import { RandomStream } from './random.js';
import { multiplySmall } from './svd.js';

/** Below this share of σ1 a Ritz value is rounding noise of a float32 matrix, and its vector arbitrary. */
const NOISE = 1e-9;
/** How far the last guard vector is bent towards a fixed random direction; moved σ errors by under 10 % in trials. */
const PROBE = 0.1;
/** Growth of the largest direction within one filter; the others keep half of a double's digits beside it. */
const FILTER_GROWTH = 1e8;

/** The k largest singular values with their vectors. The arrays belong to the subspace; the next update overwrites them. */
export interface TopSingularTriplets {
  /** `[k]`, descending. */
  sigma: Float64Array;
  /** `[rows, k]`, orthonormal columns. */
  u: Float32Array;
  /** `[columns, k]`, orthonormal columns. */
  v: Float32Array;
}

/** What {@link TopSingularSubspace} needs to know of a matrix. */
export interface SubspaceOptions {
  /** Rows of the matrix. */
  rows: number;
  /** Columns of the matrix. */
  columns: number;
  /** Triplets wanted; clamped to min(rows, columns). */
  k: number;
  /** Guard vectors beyond k that speed convergence (default 4, rounded up so that the width is a multiple of 4). */
  oversample?: number;
  /** Seed of the start block. */
  seed: number;
  /** The matrix's name, for the random stream and for errors. */
  name: string;
}

/** How long {@link TopSingularSubspace.update} iterates. */
export interface UpdateOptions {
  /** Exactly so many block iterations, from 1 (default: 1 when warm, by `tolerance` when cold). */
  iterations?: number;
  /** Iterate until ‖W·v_j − σ_j·u_j‖ ≤ tolerance · σ_j for each of the k (default 1e-4 when cold; σ errs by its square). */
  tolerance?: number;
  /** Cap on products with the matrix and its transpose when iterating by tolerance (default 400 pairs). */
  maxIterations?: number;
  /** What a residual may be in any case, in units of σ_1 (default 0): where σ_j is tiny, rounding leaves no `tolerance · σ_j`. */
  floor?: number;
  /**
   * Hold triplets that have converged out of the filter (default false), so that a few values far above the rest, as a lock
   * makes them, do not leave it blunt: 1000 above a random 600 × 700, eight values to 1e-6, in 0.3 s instead of 1.1, 1e7 in
   * 0.3 instead of 2.7.
   */
  deflate?: boolean;
}

/** A product that an update asks for: `out = W · block`, or `out = Wᵀ · block`. */
export interface BlockProduct {
  /** Whether the matrix is transposed. */
  readonly transposed: boolean;
  /** `[columns, width]`; of the transposed matrix `[rows, width]`. */
  readonly block: Float64Array;
  /** Receives the product: `[rows, width]`, of the transposed matrix `[columns, width]`. */
  readonly out: Float64Array;
}

/**
 * Follows the k largest singular triplets of a slowly changing matrix by block subspace iteration: Y = W·V, Y = Q·R,
 * Z = Wᵀ·Q, SVD of Z (Rayleigh-Ritz), V = right Ritz vectors. One iteration a step keeps σ within 1e-4 while W moves
 * by up to about 0.5 % of σ1 a step (measured: 2e-5; at 1 % 2e-4 with one iteration and 4e-5 with two, for a direction
 * that grows out of a flat spectrum). A cold start iterates, with a Chebyshev filter of WᵀW, until residuals are small.
 * No Gram matrix is formed.
 * Source: Halko, Martinsson and Tropp, SIAM Review 53 (2011); Zhou et al., J. Comput. Phys. 219 (2006) for the filter.
 *
 * To compute the two products elsewhere, for many matrices at once, compose the parts of `update` by hand:
 *
 * @example
 * ```ts
 * const y = product(weights, subspace.basis);          // W·V   [rows, width]
 * const q = subspace.orthonormalize(y);                //       [rows, width]
 * const z = productOfTransposed(weights, q);           // Wᵀ·Q  [columns, width]
 * const { sigma, u, v } = subspace.ritz(z);
 * ```
 */
export class TopSingularSubspace {
  /** Triplets returned: the k asked for, or min(rows, columns). */
  readonly k: number;
  /** Columns of the block: k and the guard vectors. */
  readonly width: number;
  /** The block V to multiply the matrix with next, `[columns, width]`. Not orthonormal; read only. */
  readonly basis: Float64Array;
  readonly #rows: number;
  readonly #columns: number;
  readonly #name: string;
  readonly #start: Float64Array;
  readonly #y: Float64Array;
  readonly #q: Float64Array;
  readonly #z: Float64Array;
  readonly #left: Float64Array;
  readonly #work: Float64Array;
  readonly #triangle: Float64Array;
  readonly #smallLeft: Float64Array;
  readonly #smallRight: Float64Array;
  readonly #ritzValues: Float64Array;
  readonly #jacobi: JacobiSvd;
  readonly #triplets: TopSingularTriplets;
  #warm = false;
  #converged = false;
  #flops = 0;

  /** @throws InputError when a size is no positive integer, or oversample is none from 0. */
  constructor({ rows, columns, k, oversample = 4, seed, name }: SubspaceOptions) {
    const sizes = [rows, columns, k, oversample + 1];
    if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
      const found = `${rows}, ${columns}, ${k}, ${oversample}`;
      throw new InputError(`${name}: expected positive rows, columns, k and an oversample from 0, found ${found}`);
    }
    const smaller = Math.min(rows, columns);
    this.k = Math.min(k, smaller);
    this.width = Math.min(4 * Math.ceil((this.k + oversample) / 4), smaller);
    const width = this.width;
    this.#rows = rows;
    this.#columns = columns;
    this.#name = name;
    this.#start = new Float64Array(columns * width);
    const stream = new RandomStream(seed, `subspace/${name}`);
    const unit = 1 / Math.sqrt(columns);
    for (let i = 0; i < this.#start.length; i++) this.#start[i] = unit * stream.normal();
    this.basis = this.#start.slice();
    this.#y = new Float64Array(rows * width);
    this.#q = new Float64Array(rows * width);
    this.#z = new Float64Array(columns * width);
    this.#left = new Float64Array(rows * this.k);
    this.#work = new Float64Array(width * (Math.max(rows, columns) + 1));
    this.#triangle = new Float64Array(width * width);
    this.#smallLeft = new Float64Array(width * width);
    this.#smallRight = new Float64Array(width * width);
    this.#ritzValues = new Float64Array(width);
    this.#jacobi = new JacobiSvd(width);
    this.#triplets = {
      sigma: new Float64Array(this.k),
      u: new Float32Array(rows * this.k),
      v: new Float32Array(columns * this.k),
    };
  }

  /** Whether there is a block to continue from, so that one iteration is enough. */
  get warm(): boolean {
    return this.#warm;
  }

  /** Whether the last `update` by tolerance reached it, and did not end at its cap. */
  get converged(): boolean {
    return this.#converged;
  }

  /** Floating-point operations of all its products and decompositions so far, as {@link qrFlops} and {@link svdFlops} count. */
  get flops(): number {
    return this.#flops;
  }

  /**
   * One warm iteration, or as many as a cold start needs.
   *
   * @param matrix - `[rows, columns]`.
   * @throws InputError when the matrix has another size or its products are not finite.
   */
  update(matrix: Float32Array, options: UpdateOptions = {}): TopSingularTriplets {
    requireShape(matrix, this.#rows, this.#columns, this.#name);
    for (const { transposed, block, out } of this.#course(options)) {
      const multiply = transposed ? multiplyLeft : multiplyRight;
      multiply(matrix, this.#rows, this.#columns, block, this.width, out);
    }
    return this.#triplets;
  }

  /**
   * `update` with the products computed elsewhere, one after another.
   *
   * @throws InputError when the products are not finite.
   */
  async updateBy(
    multiply: (product: BlockProduct) => Promise<void>,
    options: UpdateOptions = {},
  ): Promise<TopSingularTriplets> {
    for (const product of this.#course(options)) await multiply(product);
    return this.#triplets;
  }

  /** The products of an update, each to be done before the next is asked for; they are counted. */
  *#course(options: UpdateOptions): Generator<BlockProduct, void, void> {
    for (const product of this.#products(options)) {
      this.#flops += 2 * this.#rows * this.#columns * this.width;
      yield product;
    }
  }

  *#products(options: UpdateOptions): Generator<BlockProduct, void, void> {
    const { iterations, tolerance = this.#warm ? undefined : 1e-4, maxIterations = 400 } = options;
    const { floor = 0, deflate = false } = options;
    // A block as wide as the matrix spans everything: one iteration is exact.
    const complete = this.width === Math.min(this.#rows, this.#columns);
    this.#converged = complete;
    if (iterations !== undefined || tolerance === undefined || complete) {
      for (let i = 0; i < (complete ? 1 : (iterations ?? 1)); i++) yield* this.#iterate();
      return;
    }
    yield* this.#iterate();
    for (let pairs = 1; pairs < maxIterations; ) {
      yield { transposed: false, block: this.basis, out: this.#y };
      const found = this.#countConverged(tolerance, floor);
      this.#converged = found === this.k;
      if (this.#converged) break;
      pairs += 1 + (yield* this.#filter(maxIterations - pairs, deflate ? found : 0));
      yield* this.#iterate();
    }
  }

  /**
   * Second part of an iteration: the orthonormal basis Q of Y = W·V.
   *
   * @param y - `[rows, width]`.
   * @returns `[rows, width]`, owned by this object; {@link ritz} uses it.
   */
  orthonormalize(y: Float32Array | Float64Array): Float64Array {
    thinQr(y, this.#rows, this.width, this.#q, this.#triangle, this.#work);
    this.#flops += qrFlops(this.#rows, this.width);
    return this.#q;
  }

  /**
   * Last part of an iteration: the Ritz triplets of Z = Wᵀ·Q, and the next `basis`.
   *
   * @param z - `[columns, width]`.
   * @throws InputError when Z is not finite, as after a diverged step; the basis is left as it was.
   */
  ritz(z: Float32Array | Float64Array): TopSingularTriplets {
    const { width, k } = this;
    thinQr(z, this.#columns, width, this.#z, this.#triangle, this.#work);
    for (const value of this.#triangle) {
      if (!Number.isFinite(value))
        throw new InputError(`${this.#name}: expected finite weights, found NaN or infinity`);
    }
    // W ≈ Q·Zᵀ, Z = P·R, R = A·S·Bᵀ: W ≈ (Q·B)·S·(P·A)ᵀ.
    this.#jacobi.decompose(this.#triangle, this.#ritzValues, this.#smallLeft, this.#smallRight);
    multiplySmall(this.#q, this.#rows, width, this.#smallRight, k, this.#left);
    multiplySmall(this.#z, this.#columns, width, this.#smallLeft, width, this.basis);
    this.#flops += qrFlops(this.#columns, width) + svdFlops(width, width);
    this.#flops += 2 * width * (k * this.#rows + width * this.#columns);
    const { sigma, u, v } = this.#triplets;
    sigma.set(this.#ritzValues.subarray(0, k));
    u.set(this.#left);
    for (let i = 0, at = 0; i < this.#columns; i++) {
      for (let j = 0; j < k; j++) v[at++] = this.basis[i * width + j];
    }
    this.#warm = sigma[0] > 0;
    this.#widenView();
    return this.#triplets;
  }

  /** A copy of what one update hands to the next, `[columns, width]`: all zeros when cold. */
  state(): Float64Array {
    return this.#warm ? this.basis.slice() : new Float64Array(this.basis.length);
  }

  /**
   * Continues from what `state` gave: the updates that follow give the same bits.
   *
   * @throws InputError when the state has another size or is not finite.
   */
  restore(state: Float64Array): void {
    requireShape(state, this.#columns, this.width, `${this.#name}: subspace state`);
    if (!state.every(Number.isFinite)) throw new InputError(`${this.#name}: expected a finite subspace state`);
    this.#warm = state.some((value) => value !== 0);
    this.basis.set(this.#warm ? state : this.#start);
  }

  *#iterate(): Generator<BlockProduct, void, void> {
    yield { transposed: false, block: this.basis, out: this.#y };
    const block = this.orthonormalize(this.#y);
    yield { transposed: true, block, out: this.#z };
    this.ritz(this.#z);
  }

  /**
   * Directions with no weight yet, and a part of the last guard vector, point at random: an iteration sees only what its
   * block is not orthogonal to, and a new large singular value may grow anywhere. Fixed directions keep resuming exact.
   */
  #widenView(): void {
    const { width, basis } = this;
    const values = this.#ritzValues;
    for (let j = 0; j < width; j++) {
      const noise = values[j] <= NOISE * values[0];
      if (!noise && !(j === width - 1 && j >= this.k)) continue;
      const kept = noise ? 0 : 1;
      const added = noise ? 1 : PROBE;
      for (let at = j; at < basis.length; at += width) basis[at] = kept * basis[at] + added * this.#start[at];
    }
  }

  /**
   * How many of the k triplets, from the first on, have ‖W·v_j − σ_j·u_j‖ ≤ tolerance · σ_j, or ≤ floor · σ_1; those within
   * the noise count.
   * Expects Y = W·V of the current basis.
   */
  #countConverged(tolerance: number, floor: number): number {
    const { width, k } = this;
    for (let j = 0; j < k; j++) {
      const sigma = this.#ritzValues[j];
      if (sigma <= NOISE * this.#ritzValues[0]) break;
      let square = 0;
      for (let i = 0; i < this.#rows; i++) square += (this.#y[i * width + j] - sigma * this.#left[i * k + j]) ** 2;
      const residual = Math.sqrt(square);
      if (!(residual / sigma <= tolerance || residual <= floor * this.#ritzValues[0])) return j;
    }
    return k;
  }

  /**
   * Replaces V by T_d(2·WᵀW/c − 1)·V, c = the smallest Ritz value squared: directions below c shrink against those above
   * as cosh(d·acosh ..) instead of a power. Random 384 × 384, eight starts: σ to 8e-8 in 40 pairs of products, 2e-3 without.
   * Expects Y = W·V of the current basis.
   *
   * @param held - So many first columns stay as they are, and the others orthogonal to them.
   * @returns d, the pairs of products spent.
   */
  *#filter(maxDegree: number, held: number): Generator<BlockProduct, number, void> {
    const { width, basis } = this;
    const values = this.#ritzValues;
    const cut = values[width - 1] ** 2;
    const spread = Math.acosh(Math.max(1, 2 * (values[held] ** 2 / cut) - 1));
    // A zero cut (rank below the width) or one dominant direction leaves nothing to gain over plain iteration.
    if (!Number.isFinite(spread) || spread === 0) return 0;
    const degree = Math.min(Math.floor(Math.acosh(FILTER_GROWTH) / spread), 20, maxDegree);
    let previous = new Float64Array(basis.length);
    let current = basis.slice();
    for (let d = 1; d <= degree; d++) {
      if (d > 1) yield { transposed: false, block: current, out: this.#y };
      yield { transposed: true, block: this.#y, out: this.#z };
      const factor = d === 1 ? 1 : 2;
      for (let i = 0; i < current.length; i++) {
        previous[i] = factor * ((2 / cut) * this.#z[i] - current[i]) - previous[i];
      }
      if (held > 0) this.#project(previous, held);
      [previous, current] = [current, previous];
    }
    basis.set(current);
    return degree;
  }

  /** Puts the first `held` columns of the basis in the place of a block's, and takes their part out of its others. */
  #project(block: Float64Array, held: number): void {
    const { width, basis } = this;
    for (let h = 0; h < held; h++) {
      for (let at = h; at < block.length; at += width) block[at] = basis[at];
      for (let j = held; j < width; j++) {
        const shift = j - h;
        let part = 0;
        for (let at = h; at < block.length; at += width) part += basis[at] * block[at + shift];
        for (let at = h; at < block.length; at += width) block[at + shift] -= part * basis[at];
      }
    }
  }
}

/**
 * The k largest singular triplets of one matrix, from a cold start.
 *
 * @param matrix - `[rows, columns]`.
 * @throws InputError when the sizes do not fit or a value is not finite.
 */
export function topSingularTriplets(matrix: Float32Array, options: SubspaceOptions): TopSingularTriplets {
  return new TopSingularSubspace(options).update(matrix);
}
