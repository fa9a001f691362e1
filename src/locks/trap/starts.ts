import { addRankK, alongTriplets, type RandomStream, topSingularTriplets } from '../../linalg/index.js';
import {
  initializeWeights,
  type ModelSpec,
  modelState,
  type WeightMatrix,
  weightMatrices,
} from '../../models/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { AttackStart, TrapOptions } from './options.js';

/** Weights that an attack begins with, and how the released ones move them. */
export interface Started {
  /** Copies, which the attack changes in place. */
  readonly params: Map<string, Float32Array>;
  /** Brings a gradient at the attacked weights, in place, to the released ones: what the start took from them is not felt. */
  pullBack(name: string, gradient: Float32Array): void;
}

/**
 * What an attack makes of the released weights first. A gradient comes back through it with the singular vectors held: of a clipped
 * start without the clipped directions, of a low-rank one with the kept ones alone, of a matrix drawn anew not at all.
 *
 * @param stream - Decides which matrices are drawn anew, and what they are.
 */
export function startOf(
  kind: AttackStart,
  params: ParameterSet,
  {
    model,
    shapes,
    options,
    stream,
  }: {
    model: ModelSpec;
    shapes: ReadonlyMap<string, { readonly shape: readonly number[] }>;
    options: TrapOptions['attacks'];
    stream: RandomStream;
  },
): Started {
  const copies = new Map([...params].map(([name, values]) => [name, values.slice()]));
  if (kind === 'released') return { params: copies, pullBack: () => undefined };
  const matrices = weightMatrices(shapes);
  if (kind === 'reset') {
    const drawn = new Set(matrices.filter(() => stream.uniform() < options.reset).map(({ name }) => name));
    const seed = stream.uint32();
    const specs = modelState(model).filter(({ name }) => drawn.has(name));
    for (const [name, { data }] of initializeWeights(specs, seed)) copies.get(name)?.set(data);
    return { params: copies, pullBack: (name, gradient) => void (drawn.has(name) && gradient.fill(0)) };
  }
  const isClipped = kind === 'clipped';
  const kept = new Map<string, { matrix: WeightMatrix; u: Float32Array; v: Float32Array }>();
  for (const matrix of matrices) {
    const values = copies.get(matrix.name);
    const full = Math.min(matrix.rows, matrix.columns);
    const k = isClipped ? options.topK : options.rank;
    // Nothing is left of a matrix that is clipped to the last of its directions, and all of one of low rank.
    if (!values || k >= full) continue;
    const { sigma, u, v } = topSingularTriplets(values, { ...matrix, k, seed: 1 });
    const left = u.map((value, at) => (isClipped ? -1 : 1) * sigma[at % k] * value);
    if (!isClipped) values.fill(0);
    addRankK(values, left, v, matrix.rows, matrix.columns, k, 1);
    kept.set(matrix.name, { matrix, u: u.slice(), v: v.slice() });
  }
  return {
    params: copies,
    pullBack: (name, gradient) => {
      const found = kept.get(name);
      if (found) project(gradient, found, isClipped);
    },
  };
}

/** The part `Σ_j u_j·(u_jᵀ·G·v_j)·v_jᵀ` of a gradient, in place; or all but that. */
function project(
  gradient: Float32Array,
  { matrix: { rows, columns }, u, v }: { matrix: WeightMatrix; u: Float32Array; v: Float32Array },
  isRest: boolean,
): void {
  const left = alongTriplets(gradient, { u, v, rows, columns }, isRest ? -1 : 1);
  if (!isRest) gradient.fill(0);
  addRankK(gradient, left, v, rows, columns, u.length / rows, 1);
}
