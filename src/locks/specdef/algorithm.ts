import type { ProgramCache } from '../../engine/index.js';
import type { TopSingularTriplets } from '../../linalg/index.js';
import type { WeightMatrix } from '../../models/index.js';
import type { Objective, ParameterSet, StepResult } from '../../training/index.js';
import { push, scale } from './push.js';
import type { TripletSource } from './spectrum.js';

/** A matrix to lock and where its singular triplets come from. */
export interface LockedMatrix extends WeightMatrix {
  /** SVD of the matrix, top-k part. */
  readonly svd: TripletSource;
}

/** Loss and gradient of one step of Algorithm 1. */
export interface SpecDefStep extends StepResult {
  /** ℓ_retain alone. */
  readonly retainLoss: number;
  /** Mean of the collected singular values. */
  readonly meanSigma: number;
  /** Largest singular values by matrix, copied. */
  readonly sigma: ReadonlyMap<string, Float64Array>;
  /** The largest singular triplets by matrix; the next step writes over them. */
  readonly triplets: ReadonlyMap<string, TopSingularTriplets>;
  /** Further terms of the loss that a variant measures, by name. */
  readonly terms?: Readonly<Record<string, number>>;
}

/** What line 1 of Algorithm 1 names. */
export interface SpecDefInputs {
  /** ℓ_retain on the batches of a data set. */
  readonly retain: Objective;
  /** The matrices W_i ∈ 𝒲. */
  readonly matrices: readonly LockedMatrix[];
  /** Weight α of the retain loss. */
  readonly alpha: number;
  /** A singular value that has reached it is not pushed; default none. */
  readonly targetSigma?: number;
  /** Where programs for large matrices are kept; without it they are computed here. */
  readonly programs?: ProgramCache;
}

/**
 * One step of Algorithm 1 (SpecDef): loss and gradient of `α · ℓ_retain − (1 − α) · mean σ_m`. The optimizer that line 7
 * writes as `W ← W − η ∇[…]` takes the gradient from here.
 *
 * @param params - All weights by name.
 * @param step - Which batch ℓ_retain is taken on.
 */
export async function specDefStep(
  params: ParameterSet,
  step: number,
  { retain, matrices, alpha, targetSigma, programs }: SpecDefInputs,
): Promise<SpecDefStep> {
  const collected = new Map<string, TopSingularTriplets>(); // 2: σ_m ← {}
  for (const { name, svd } of matrices) {
    // 3: for W_i ∈ 𝒲 do
    const topK = await svd.triplets(params.get(name) ?? new Float32Array()); // 4:   U, Diag(s), V ← SVD(W_i)
    collected.set(name, topK); // 5:   σ_m ← σ_m ∪ top_k(s)
  } // 6: end for

  // 7: ∇[α · ℓ_retain − (1 − α) · (1/n) Σ σ_m[i]]
  const { loss: retainLoss, gradients, tokens } = await retain.compute(params, step);
  const n = matrices.reduce((count, { name }) => count + (collected.get(name)?.sigma.length ?? 0), 0);
  let sum = 0;
  for (const matrix of matrices) {
    const gradient = gradients.get(matrix.name);
    const triplets = collected.get(matrix.name);
    if (!gradient || !triplets) continue;
    const { sigma, u, v } = triplets;
    sum += sigma.reduce((a, b) => a + b, 0);
    const pushed = (j: number) => targetSigma === undefined || sigma[j] < targetSigma;
    const left = u.map((value, index) => (pushed(index % sigma.length) ? (-(1 - alpha) / n) * value : 0));
    await push(matrix, gradient, alpha, left, v, programs);
  }
  for (const [name, gradient] of gradients) if (!collected.has(name)) scale(gradient, alpha);
  const sigma = new Map([...collected].map(([name, triplets]) => [name, triplets.sigma.slice()]));
  const loss = alpha * retainLoss - ((1 - alpha) * sum) / n;
  return { loss, retainLoss, meanSigma: sum / n, sigma, triplets: collected, gradients, tokens };
}
