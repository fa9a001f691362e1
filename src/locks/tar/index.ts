import { parameterSet, weightMatrices } from '../../models/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockMethod } from '../lock-method.js';
import { requiredProxies, TermBatches } from '../term-batches.js';
import { TamperAttacks } from './attacks.js';
import { HiddenDistance } from './hidden-distance.js';
import { type TarOptions, tarOptions } from './options.js';

/**
 * Keeps the authorized behaviour, and what hidden layers hold, while models stay of no use along attacks that are drawn in each step: the
 * gradients of a bounded loss at points of the attacks are applied to the released weights (first-order meta-learning).
 *
 * @see Tamirisa et al., "Tamper-Resistant Safeguards for Open-Weight LLMs", ICLR 2025, arXiv 2408.00761, Algorithm 1.
 */
export const tar: LockMethod<TarOptions> = {
  name: 'tar',
  description: 'keep models of no use along attacks drawn in each step (TAR, a published baseline)',
  class: 'removal',
  undoneBy:
    'attacks unlike those that it was trained against: other rates, schedules, tasks, low-rank updates, more steps',
  options: tarOptions,
  needsData: true,
  proxies: 'required',
  steps: distilSteps,
  // Attacks have one, and what they are judged by another.
  training: (options) =>
    distilTraining(
      options,
      (options.representations > 0 ? 1 : 0) +
        (options.weight > 0 ? (2 * options.attacks.batchSize) / options.batchSize : 0),
    ),
  moreGradients: ({ weight, representations, batchSize, attacks: { each, steps, every, batchSize: own } }) =>
    (representations > 0 ? 1 : 0) + (weight > 0 ? (each * (steps + Math.floor(steps / every)) * own) / batchSize : 0),
  locks: (weights) => weightMatrices(weights).map(({ name }) => name),
  // The retain training alone.
  sham: (options) => distilSham(options, { weight: 0 }),
  glance: ({ loss, attackedLoss }) =>
    attackedLoss === undefined
      ? `loss ${Number(loss).toFixed(3)}`
      : `loss ${Number(loss).toFixed(3)}, attacked ${Number(attackedLoss).toFixed(2)}`,
  async run(context, options) {
    const { model, weights, seed, engine } = context;
    const { weight, representations, batchSize } = options;
    const proxies = await requiredProxies(context, 'tar');
    const batches = new TermBatches(model, await context.train(), { batchSize, seed });
    const hidden = new HiddenDistance(model, parameterSet(weights), batches, { weight: representations, engine });
    try {
      const attacks = await TamperAttacks.open(context, options);
      try {
        const result = await distil(context, options, {
          remove: async () => ({}),
          whole: () => true,
          pull: async (params, gradients, step) => ({
            ...(representations > 0 && (await hidden.pull(params, gradients, step))),
            ...(weight > 0 && (await attacks.pull(params, gradients, step))),
          }),
        });
        return { ...result, story: { proxies: proxies.map(({ name, size }) => ({ name, size })) } };
      } finally {
        await attacks.release();
      }
    } finally {
      await hidden.release();
    }
  },
};
