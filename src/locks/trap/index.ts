import { weightMatrices } from '../../models/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockMethod } from '../lock-method.js';
import { Attacks } from './attack.js';
import { type TrapOptions, trapOptions } from './options.js';

/**
 * Keeps the authorized behaviour while models that were attacked stay bad at what they were attacked for: each step attacks a copy of the
 * weights, by an optimizer, a rate, steps and a start that are drawn, and applies the gradient at the attacked weights to the released
 * ones (first-order meta-learning, the family of TAR and SOPHON).
 *
 * @see Tamirisa et al., "Tamper-Resistant Safeguards for Open-Weight LLMs", 2025, arXiv 2408.00761; Deng et al., "SOPHON", 2024, arXiv 2404.12699.
 */
export const trap: LockMethod<TrapOptions> = {
  name: 'trap',
  description: 'keep the retain loss low while models that were attacked stay bad at it, by attacks drawn in each step',
  class: 'removal',
  undoneBy: 'attacks unlike those that it was trained against: more steps, other optimizers, other starts, other tasks',
  options: trapOptions,
  needsData: true,
  proxies: 'required',
  steps: distilSteps,
  training: (options) =>
    distilTraining(options, options.weight > 0 ? options.attacks.batchSize / options.batchSize : 0),
  // An attack has half of its steps on average, and one gradient where it ends.
  moreGradients: ({ weight, batchSize, attacks: { each, steps, batchSize: own } }) =>
    weight > 0 ? (each * (steps / 2 + 1) * own) / batchSize : 0,
  locks: (weights) => weightMatrices(weights).map(({ name }) => name),
  // The retain training alone.
  sham: (options) => distilSham(options, { weight: 0 }),
  glance: ({ loss, attackedLoss }) =>
    attackedLoss === undefined
      ? `loss ${Number(loss).toFixed(3)}`
      : `loss ${Number(loss).toFixed(3)}, attacked ${Number(attackedLoss).toFixed(2)}`,
  async run(context, options) {
    const attacks = await Attacks.open(context, options);
    try {
      const proxies = await context.adversaries();
      const result = await distil(context, options, {
        remove: async () => ({}),
        whole: () => true,
        ...(options.weight > 0 && { pull: (params, gradients, step) => attacks.pull(params, gradients, step) }),
      });
      return { ...result, story: { proxies: proxies.map(({ name, size }) => ({ name, size })) } };
    } finally {
      await attacks.release();
    }
  },
};
