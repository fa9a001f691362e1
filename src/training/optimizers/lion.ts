import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import { beginUpdate, fullSlot, type Optimizer, type OptimizerEntry, parameterFor, slotFor } from './optimizer.js';

const share = z.number().min(0).lt(1);

const lionOptions = z.strictObject({
  betas: z
    .tuple([share, share])
    .default([0.9, 0.99])
    .describe('share of the running mean that enters the sign, and that is kept for the next step'),
  weightDecay: z.number().min(0).default(0).describe('share of the weight, times lr, taken off at each step'),
});

/**
 * Lion: every weight moves by the learning rate, along the sign of a mean of gradient and momentum.
 *
 *     p = p · (1 − lr · weightDecay) − lr · sign(β1 · m + (1 − β1) · grad)
 *     m = β2 · m + (1 − β2) · grad
 *
 * A learning rate three to ten times below Adam's is the usual one. Slots: `exp_avg` (m).
 *
 * @param options - `betas` [0.9, 0.99], `weightDecay` 0.
 * @throws InputError when the options do not fit.
 * @example lion({ weightDecay: 0.1 })
 * @see Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv:2302.06675, Algorithm 2.
 */
export function lion(options: z.input<typeof lionOptions> = {}): Optimizer {
  const { betas, weightDecay } = parseOptions(lionOptions, options, 'lion');
  return {
    name: 'lion',
    init: (params) => ({ step: 0, slots: { exp_avg: fullSlot(params) } }),
    update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      const shrink = 1 - learningRate * weightDecay;
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        move(param, grad, slotFor(state, 'exp_avg', name, param.length), learningRate, shrink, betas);
      }
    },
  };
}

function move(
  param: Float32Array,
  grad: Float32Array,
  m: Float32Array,
  learningRate: number,
  shrink: number,
  [beta1, beta2]: readonly [number, number],
): void {
  const rest1 = 1 - beta1;
  const rest2 = 1 - beta2;
  for (let i = 0; i < param.length; i++) {
    const g = grad[i];
    param[i] = param[i] * shrink - learningRate * Math.sign(beta1 * m[i] + rest1 * g);
    m[i] = beta2 * m[i] + rest2 * g;
  }
}

/** Registry entry of {@link lion}. */
export const lionEntry: OptimizerEntry = {
  name: 'lion',
  description: 'Lion: every weight moves by the learning rate, along the sign of its momentum',
  options: lionOptions,
  search: { decades: [-3, -4, -2, -5, -1, -6] },
  create: lion,
};
