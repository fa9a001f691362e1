import type { ModelSpec, WeightShapes } from '../../models/index.js';
import { raisedNames } from '../knowledge.js';
import type { LockMethod, LockPlan } from '../lock-method.js';
import { symmetryLock } from './run.js';
import { raisesOf } from './spectral.js';
import { type SpectralOptions, spectralOptions } from './spectral-options.js';

/**
 * Raises singular values by a closed form and lets a neighbouring weight pay, so that the function stays exactly: what compensating
 * layers do, without a layer that other runtimes would not know.
 *
 * @see Rosati et al., "Limits of Convergence-Rate Control for Open-Weight Safety", 2026, arXiv 2602.18868.
 */
export const spectralClosed: LockMethod<SpectralOptions> = {
  name: 'spectral-closed',
  description: 'raise singular values by a closed form, paid by a neighbour, so that the function stays exactly',
  class: 'symmetry',
  undoneBy: 'canonicalizing the weights: seconds, without data',
  options: spectralOptions,
  needsData: false,
  steps: () => 1,
  locks: (weights, options, model) => raisesOf(model, weights, options).flatMap(({ raised }) => raised),
  reveals: ({ topK, ...names }) => ({ raised: { topK, ...raisedNames(names), lead: { topK, include: [] } } }),
  plan: planOf,
  run: (context, options) =>
    symmetryLock(context, options, planOf({ ...context.model, weights: context.weights }, options)),
};

function planOf(model: ModelSpec & { readonly weights: WeightShapes }, options: SpectralOptions): LockPlan {
  const raises = raisesOf(model, model.weights, options);
  return {
    changes: raises,
    story: {
      factor: options.factor,
      raises: raises.map(({ raised, reach, paidBy }) => ({ raised, reach, paidBy })),
    },
  };
}
