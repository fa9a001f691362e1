import { weightMatrices } from '../../models/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockMethod } from '../lock-method.js';
import { requiredProxies, TermBatches } from '../term-batches.js';
import { RepNoise } from './noise.js';
import { type RepNoiseOptions, repNoiseOptions } from './options.js';

/**
 * Brings what hidden layers hold of an attacker's examples near to noise and lets the loss on them rise, while the loss on the
 * authorized examples stays: `retain + noiseWeight · noise − ascentWeight · ascent`.
 *
 * @see Rosati et al., "Representation Noising: A Defence Mechanism Against Harmful Finetuning", NeurIPS 2024, arXiv 2405.14577.
 */
export const repnoise: LockMethod<RepNoiseOptions> = {
  name: 'repnoise',
  description: "make noise of what hidden layers hold of an attacker's examples (RepNoise, a published baseline)",
  class: 'removal',
  undoneBy: 'fine-tuning with a larger learning rate or more examples, and on tasks unlike the proxies',
  options: repNoiseOptions,
  needsData: true,
  proxies: 'required',
  steps: distilSteps,
  training: (options) => distilTraining(options, termsOf(options)),
  moreGradients: termsOf,
  locks: (weights) => weightMatrices(weights).map(({ name }) => name),
  // The retain training alone.
  sham: (options) => distilSham(options, { noiseWeight: 0, ascentWeight: 0 }),
  glance: ({ loss, noiseLoss, ascentLoss }) =>
    noiseLoss === undefined
      ? `loss ${Number(loss).toFixed(3)}`
      : `loss ${Number(loss).toFixed(3)}, noise ${Number(noiseLoss).toFixed(3)}, ascent ${Number(ascentLoss).toFixed(2)}`,
  async run(context, options) {
    const { model, seed, engine } = context;
    const proxies = await requiredProxies(context, 'repnoise');
    const { batchSize, noiseWeight, ascentWeight } = options;
    const isLocking = noiseWeight > 0 || ascentWeight > 0;
    const tasks = proxies.map((dataset) => new TermBatches(model, dataset, { batchSize, seed }));
    const noise = new RepNoise(model, tasks, options, { seed, engine });
    try {
      const result = await distil(context, options, {
        remove: async () => ({}),
        whole: () => true,
        ...(isLocking && { pull: (params, gradients, step) => noise.pull(params, gradients, step) }),
      });
      return { ...result, story: { proxies: proxies.map(({ name, size }) => ({ name, size })) } };
    } finally {
      await noise.release();
    }
  },
};

/** Losses beside the retain loss, of the two terms together. */
function termsOf({ noiseWeight, ascentWeight }: RepNoiseOptions): number {
  return noiseWeight > 0 || ascentWeight > 0 ? 1 : 0;
}
