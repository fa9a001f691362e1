import { z } from 'zod';
import type { ModelSpec, WeightShapes } from '../../models/index.js';
import { type Joint, type MutableWeights, scaleUnit, unitsOf } from '../../symmetries/index.js';
import type { LockMethod, LockPlan } from '../lock-method.js';
import type { Draws } from '../secret.js';
import { powerOfTwo, symmetryOptions } from './options.js';
import { matricesAt, namesAt, openJoints, symmetryLock } from './run.js';

/** Options of `rebalance`. */
export const rebalanceOptions = z.strictObject({
  spread: powerOfTwo(4096)
    .default(64)
    .describe('largest factor of a unit, a power of two; the smallest is its inverse'),
  ...symmetryOptions,
});

/** Parsed options of `rebalance`. */
export type RebalanceOptions = z.output<typeof rebalanceOptions>;

/**
 * The factor of each unit of a joint: 2^j, every whole j from −log₂ spread to log₂ spread alike likely, from 0 on where running variances
 * follow, which a small factor would bring below 0. It depends on the draws, the joint's name and the unit's number alone.
 */
export function factorsOf(joint: Joint, { spread, draws }: { spread: number; draws: Draws }): Float64Array {
  const most = Math.log2(spread);
  const least = joint.kind === 'batch norms' ? 0 : -most;
  const stream = draws(`rebalance ${joint.name}`);
  return Float64Array.from(unitsOf(joint), () => 2 ** (least + stream.integer(most - least + 1)));
}

/** Multiplies the units of joints by their factors, or by the inverse. */
export function applyFactors(
  weights: MutableWeights,
  joints: readonly Joint[],
  options: { spread: number; draws: Draws; isInverse?: boolean },
): void {
  for (const joint of joints) {
    const factors = factorsOf(joint, options);
    unitsOf(joint).forEach((unit, at) => {
      scaleUnit(weights, unit, options.isInverse ? 1 / factors[at] : factors[at]);
    });
  }
}

/** The joints that options leave open. */
export function rebalanced(model: ModelSpec, weights: WeightShapes, options: RebalanceOptions): Joint[] {
  return openJoints(model, weights, { method: 'rebalance', ...options });
}

/** Multiplies and divides neighbouring weights unit by unit, by factors that a secret decides; the function stays to the bit. */
export const rebalance: LockMethod<RebalanceOptions> = {
  name: 'rebalance',
  description:
    'multiply and divide neighbouring weights unit by unit, so that matrices are skewed and the function stays',
  class: 'symmetry',
  undoneBy: 'canonicalizing the weights: seconds, without data',
  options: rebalanceOptions,
  needsData: false,
  steps: () => 1,
  locks: (weights, options, model) => [
    ...new Set(rebalanced(model, weights, options).flatMap((joint) => matricesAt(joint, weights))),
  ],
  plan: planOf,
  draws: () => true,
  run: async (context, options) => {
    const draws = await context.draws();
    return symmetryLock(context, options, planOf({ ...context.model, weights: context.weights }, options, draws));
  },
};

function planOf(
  model: ModelSpec & { readonly weights: WeightShapes },
  options: RebalanceOptions,
  draws: Draws,
): LockPlan {
  const joints = rebalanced(model, model.weights, options);
  return {
    changes: joints.map((joint) => ({
      names: namesAt(joint),
      apply: (weights) => applyFactors(weights, [joint], { ...options, draws }),
    })),
    story: { spread: options.spread, joints: joints.map((joint) => `${joint.name}: ${unitsOf(joint).length}`) },
  };
}
