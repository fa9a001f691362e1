import { svd, TopSingularSubspace } from '../../linalg/index.js';
import type { ModelSpec, WeightShapes } from '../../models/index.js';
import {
  type Joint,
  Linear,
  type MatrixJoint,
  type MutableWeights,
  multiplyBlock,
  scaleUnit,
  sidesOf,
  type UnitJoint,
} from '../../symmetries/index.js';
import { matricesAt, namesAt, openJoints } from './run.js';
import type { SpectralOptions } from './spectral-options.js';

/** A raise of singular values, and what pays for it. */
export interface Raise {
  /** The matrices whose singular values rise by the factor. */
  readonly raised: readonly string[];
  /** Whether the top ones alone rise, or all. */
  readonly reach: 'top' | 'all';
  /** The weights that are divided so that the function stays. */
  readonly paidBy: readonly string[];
  /** All weights that it needs. */
  readonly names: readonly string[];
  /** Does it, in place. */
  apply(weights: MutableWeights): void;
}

/**
 * How a model's singular values can be raised: each matrix at most once, and none pays that was raised. The top ones alone where a matrix
 * may stand behind it (values and outputs of heads, queries and keys that no positions turn, linear layers in a row); else all, paid by
 * the gain of the norm before it, by running statistics behind it, or by the layer that reads it.
 *
 * @throws InputError where nothing can be raised.
 */
export function raisesOf(model: ModelSpec, weights: WeightShapes, options: SpectralOptions): Raise[] {
  const joints = openJoints(model, weights, { method: 'spectral-closed', ...options });
  const taken = new Set<string>();
  const raises: Raise[] = [];
  const free = (joint: Joint) => matricesAt(joint, weights).every((name) => !taken.has(name));
  for (const joint of joints.toSorted((a, b) => rank(a) - rank(b))) {
    if (!free(joint)) continue;
    const raise = joint.form === 'matrix' ? topRaise(joint, weights, options) : wholeRaise(joint, weights, options);
    if (!raise) continue;
    for (const name of matricesAt(joint, weights)) taken.add(name);
    raises.push(raise);
  }
  return raises;
}

/** Matrices first, since they raise the top alone; then what no other matrix pays for. */
function rank({ form, kind }: Joint): number {
  if (form === 'matrix') return 0;
  if (kind === 'norms' || kind === 'batch norms') return 1;
  return 2;
}

/** All singular values of what a joint multiplies, or, where that are gains, of what it divides. */
function wholeRaise(joint: UnitJoint, weights: WeightShapes, { factor }: SpectralOptions): Raise | undefined {
  const isMatrix = (name: string) => (weights.get(name)?.shape.length ?? 0) > 1;
  const side = (part: 'times' | 'over') =>
    namesAt({ ...joint, units: joint.units.map((unit) => ({ times: unit[part], over: [] })) });
  const [times, over] = [side('times'), side('over')];
  const isTurned = !times.some(isMatrix);
  const [raised, paidBy] = isTurned ? [over, times] : [times, over];
  // Gains alone on both sides: nothing to raise.
  if (!raised.some(isMatrix)) return undefined;
  return {
    raised: raised.filter(isMatrix),
    reach: 'all',
    // Running statistics follow the layer that they are of.
    paidBy: paidBy.length > 0 ? paidBy : raised.filter((name) => !isMatrix(name)),
    names: namesAt(joint),
    apply: (changed) => {
      for (const unit of joint.units) scaleUnit(changed, unit, isTurned ? 1 / factor : factor);
    },
  };
}

/**
 * The k largest singular values of a matrix W times f, exactly: with U its k left singular vectors and U_h the rows of U that belong to
 * a head h, `M_h = I + (f − 1)·P_h`, P_h the projection on the columns of U_h. Then `M·W·v_j = f·σ_j·u_j` for j ≤ k, and since no M_h
 * stretches by more than f, no other singular value grows by more. What reads W gets `M_h⁻¹ = I + (1/f − 1)·P_h`.
 */
function topRaise(joint: MatrixJoint, weights: WeightShapes, { factor, topK }: SpectralOptions): Raise | undefined {
  const { blocks, width: d } = joint;
  const [first] = blocks[0].into;
  const { layer } = first;
  const rows = sidesOf(weights, layer).outputs;
  const slots = blocks.flatMap(({ into }) => into.filter((slot) => slot.layer.weight === layer.weight));
  // A part of a larger matrix has no singular values of its own.
  if (slots.length * d !== rows || slots.some((slot) => slot.layer.offset)) return undefined;
  const paid = blocks.flatMap(({ out, dual }) => [...out, ...dual].map((slot) => slot.layer.weight));
  return {
    raised: [layer.weight],
    reach: 'top',
    paidBy: [...new Set(paid)],
    names: namesAt(joint),
    apply: (changed) => {
      const k = Math.min(topK, rows, new Linear(changed, layer).inputs);
      const u = leftVectors(new Linear(changed, layer), { k, name: layer.weight });
      for (const block of blocks) {
        const own = block.into.filter((slot) => slot.layer.weight === layer.weight);
        const spanned = new Float64Array(d * k * own.length);
        own.forEach(({ at }, part) => {
          for (let i = 0; i < d; i++) {
            for (let j = 0; j < k; j++) spanned[i * k * own.length + part * k + j] = u[(at + i) * k + j];
          }
        });
        const projection = projectionOn(spanned, d);
        const stretched = (by: number) => projection.map((value, at) => Number(at % (d + 1) === 0) + (by - 1) * value);
        multiplyBlock(changed, block, { matrix: stretched(factor), inverse: stretched(1 / factor) });
      }
    },
  };
}

/** The k first left singular vectors, `[outputs, k]`. */
function leftVectors(layer: Linear, { k, name }: { k: number; name: string }): ArrayLike<number> {
  const [rows, columns] = [layer.outputs, layer.inputs];
  const matrix = Float32Array.from(layer.columns(0, columns));
  const subspace = new TopSingularSubspace({ rows, columns, k, seed: 1, name });
  return subspace.update(matrix, { tolerance: 1e-7, floor: 1e-7, deflate: true }).u;
}

/** The orthogonal projection on the columns of a matrix `[d, n]`, `[d, d]`. */
function projectionOn(matrix: Float64Array, d: number): Float64Array {
  const { sigma, u } = svd(matrix, d, matrix.length / d);
  const r = sigma.length;
  const projection = new Float64Array(d * d);
  for (let j = 0; j < r; j++) {
    // Of vectors of length 1 in all: below is rounding.
    if (sigma[j] < 1e-6) continue;
    for (let a = 0; a < d; a++) for (let b = 0; b < d; b++) projection[a * d + b] += u[a * r + j] * u[b * r + j];
  }
  return projection;
}
