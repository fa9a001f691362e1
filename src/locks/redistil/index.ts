import { parameterSet, type WeightShapes, weightMatrices } from '../../models/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockMethod } from '../lock-method.js';
import { MidpointBarrier } from './barrier.js';
import { Distance } from './distance.js';
import { mixWithFresh } from './mix.js';
import { type RedistilOptions, redistilOptions } from './options.js';

/**
 * Mixes the weights with a fresh initialization, `θ₀ = (1 − a)·θ + a·ξ`, and distils what the original says of the authorized
 * examples into them: what the authorized task does not need does not come back (UNDO).
 *
 * @see Lee et al., "Distillation Robustifies Unlearning", 2025, arXiv 2506.06278.
 */
export const redistil: LockMethod<RedistilOptions> = {
  name: 'redistil',
  description:
    'mix the weights with a fresh initialization, then distil the authorized behaviour of the original into them',
  class: 'removal',
  undoneBy:
    'learning again what the mixture lost; what it left of the original shrinks with a and grows with the steps',
  options: redistilOptions,
  needsData: true,
  steps: distilSteps,
  training: (options) => distilTraining(options, options.barrier.weight > 0 ? 1 : 0),
  moreGradients: ({ barrier }) => (barrier.weight > 0 ? 1 : 0),
  locks: (weights, options) => namesOf(weights, options),
  // The distillation alone, from the weights as they are.
  sham: (options) => distilSham(options, { a: 0, push: 0, barrier: { ...options.barrier, weight: 0 } }),
  draws: ({ a }) => a > 0,
  reveals: (options) => (options.a > 0 ? { mixed: mixedOf(options) } : {}),
  glance: ({ loss }) => `loss ${Number(loss).toFixed(3)}`,
  async run(context, options) {
    const { model, weights } = context;
    const matrices = weightMatrices(weights, options);
    const distance = new Distance(weights, matrices);
    const pushed = new Set(options.push > 0 ? matrices.map(({ name }) => name) : []);
    const hasBarrier = options.barrier.weight > 0;
    let barrier: MidpointBarrier | undefined;
    try {
      const result = await distil(context, options, {
        begin: async (examples) => {
          if (hasBarrier)
            barrier = await MidpointBarrier.open(context, parameterSet(weights), { ...options, examples });
        },
        remove: async () => {
          if (options.a > 0) mixWithFresh(model, weights, { ...mixedOf(options), draws: await context.draws() });
          return {};
        },
        whole: (name) => hasBarrier || pushed.has(name),
        pull: async (params, gradients, step) => ({
          ...(pushed.size > 0 && distance.push(params, gradients, options.push)),
          ...(barrier && (await barrier.add(params, gradients, step))),
        }),
      });
      return { ...result, story: { a: options.a, distance: distance.all() } };
    } finally {
      await barrier?.release();
    }
  },
};

const mixedOf = ({ a, include, exclude }: RedistilOptions) => ({ a, include, exclude });

function namesOf(weights: WeightShapes, options: RedistilOptions): string[] {
  return weightMatrices(weights, options).map(({ name }) => name);
}
