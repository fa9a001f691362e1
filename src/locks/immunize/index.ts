import { weightMatrices } from '../../models/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockMethod } from '../lock-method.js';
import { requiredProxies, TermBatches } from '../term-batches.js';
import { Immunizer } from './immunizer.js';
import { type ImmunizeOptions, immunizeOptions } from './options.js';

/**
 * Makes the features of an attacker's examples ill-conditioned and keeps the owner's well-conditioned, so that gradient descent on a linear
 * layer over them is slow for the attacker: `retain + wellWeight · R_well + illWeight · R_ill`.
 *
 * @see Zheng et al., "Model Immunization from a Condition Number Perspective", ICML 2025, arXiv 2505.23760.
 */
export const immunize: LockMethod<ImmunizeOptions> = {
  name: 'immunize',
  description: "make an attacker's features ill-conditioned (condition-number immunization, a published baseline)",
  class: 'off-manifold',
  undoneBy:
    'whitening the features, an optimizer that adapts to each direction (Adam, second order), or training the layers before',
  options: immunizeOptions,
  needsData: true,
  proxies: 'required',
  steps: distilSteps,
  training: (options) => distilTraining(options, termsOf(options)),
  moreGradients: termsOf,
  locks: (weights) => weightMatrices(weights).map(({ name }) => name),
  // The retain training alone.
  sham: (options) => distilSham(options, { illWeight: 0, wellWeight: 0 }),
  glance: ({ loss, attackerCondition }) =>
    attackerCondition === undefined
      ? `loss ${Number(loss).toFixed(3)}`
      : `loss ${Number(loss).toFixed(3)}, κ of an attacker ${Number(attackerCondition).toExponential(1)}`,
  async run(context, options) {
    const { model, seed, engine } = context;
    const proxies = await requiredProxies(context, 'immunize');
    const { batchSize, illWeight, wellWeight } = options;
    const batches = (dataset: (typeof proxies)[number]) => new TermBatches(model, dataset, { batchSize, seed });
    const data = { owner: batches(await context.train()), attackers: proxies.map(batches) };
    const immunizer = new Immunizer(model, data, options, { seed, engine });
    const isLocking = illWeight > 0 || wellWeight > 0;
    try {
      const result = await distil(context, options, {
        remove: async () => ({}),
        whole: () => true,
        ...(isLocking && { pull: (params, gradients, step) => immunizer.pull(params, gradients, step) }),
      });
      return { ...result, story: { proxies: proxies.map(({ name, size }) => ({ name, size })) } };
    } finally {
      await immunizer.release();
    }
  },
};

/** Losses beside the retain loss. */
function termsOf({ illWeight, wellWeight }: ImmunizeOptions): number {
  return [illWeight, wellWeight].filter((weight) => weight > 0).length;
}
