import { addRankK, alongTriplets, type TopSingularTriplets } from '../../linalg/index.js';
import type { WeightMatrix } from '../../models/index.js';
import type { Objective, ParameterSet } from '../../training/index.js';
import { type BoundedPush, boundedPush } from '../bounded-push.js';

/** What the clipped model is, and the loss that it has. */
export interface Clipped {
  /** Its retain loss on the batch. */
  readonly loss: number;
  /** `weight · ½B·(1 − loss/B)₊²`: 0 from the bound B on, where nothing is pushed any more. */
  readonly term: number;
  /** The gradient of the term. */
  readonly gradients: ParameterSet;
}

/**
 * `W − (1 − level)·Σ_j σ_j·u_j·v_jᵀ`: the raised singular values cut to a share of themselves.
 *
 * @returns New arrays for the matrices, the others as they are.
 */
export function clippedParams(
  params: ParameterSet,
  matrices: readonly WeightMatrix[],
  { triplets, level }: { triplets: ReadonlyMap<string, TopSingularTriplets>; level: number },
): Map<string, Float32Array> {
  const clipped = new Map(params);
  for (const { name, rows, columns } of matrices) {
    const found = triplets.get(name);
    const values = params.get(name);
    if (!found || !values) continue;
    const { sigma, u, v } = found;
    const left = u.map((value, at) => -(1 - level) * sigma[at % sigma.length] * value);
    const cut = values.slice();
    addOuter(cut, { left, right: v, rows, columns });
    clipped.set(name, cut);
  }
  return clipped;
}

/**
 * The term that lets a clip delete function: `½B·(1 − ℓ(W_c)/B)₊²`, ℓ the retain loss of the clipped weights W_c. Its gradient holds the
 * singular vectors fixed: with g that of ℓ at W_c, `∂ℓ/∂W = g − (1 − level)·Σ_j u_j·(u_jᵀ·g·v_j)·v_jᵀ`.
 *
 * @param tracked - Names of what training moves without a gradient, which the clipped model must not move.
 */
export async function clipTerm(
  params: ParameterSet,
  step: number,
  {
    retain,
    matrices,
    triplets,
    level,
    tracked,
    ...push
  }: BoundedPush & {
    retain: Objective;
    matrices: readonly WeightMatrix[];
    triplets: ReadonlyMap<string, TopSingularTriplets>;
    level: number;
    tracked: ReadonlySet<string>;
  },
): Promise<Clipped> {
  const clipped = clippedParams(params, matrices, { triplets, level });
  for (const name of tracked) clipped.set(name, (params.get(name) ?? new Float32Array()).slice());
  const { loss, gradients } = await retain.compute(clipped, step);
  const { term, slope } = boundedPush(loss, push);
  const found = new Map<string, Float32Array>();
  if (slope === 0) return { loss, term, gradients: found };
  for (const [name, values] of gradients)
    found.set(
      name,
      values.map((value) => slope * value),
    );
  for (const { name, rows, columns } of matrices) {
    const [gradient, own] = [found.get(name), triplets.get(name)];
    if (!gradient || !own) continue;
    const left = alongTriplets(gradient, { ...own, rows, columns }, level - 1);
    addOuter(gradient, { left, right: own.v, rows, columns });
  }
  return { loss, term, gradients: found };
}

/**
 * `R ← (1 − ρ)·R` in place, R what a matrix is beside its raised directions: `W ← (1 − ρ)·W + ρ·Σ_j σ_j·u_j·v_jᵀ`.
 */
export function shrinkRest(
  values: Float32Array,
  { rows, columns }: WeightMatrix,
  { triplets: { sigma, u, v }, share }: { triplets: TopSingularTriplets; share: number },
): void {
  for (let i = 0; i < values.length; i++) values[i] *= 1 - share;
  const left = u.map((value, at) => share * sigma[at % sigma.length] * value);
  addOuter(values, { left, right: v, rows, columns });
}

/** `matrix += left·rightᵀ`, `[rows, k]` and `[columns, k]`. */
function addOuter(
  matrix: Float32Array,
  { left, right, rows, columns }: { left: Float32Array; right: Float32Array; rows: number; columns: number },
): void {
  addRankK(matrix, left, right, rows, columns, left.length / rows, 1);
}
