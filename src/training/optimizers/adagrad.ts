import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  countGradient,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  parameterFor,
  slotFor,
  stepSlot,
} from './optimizer.js';

const adagradOptions = z.strictObject({
  learningRateDecay: z.number().min(0).default(0).describe('the rate is divided by 1 + this · (step − 1)'),
  weightDecay: z.number().min(0).default(0).describe('L2 penalty, added to the gradient'),
  initialAccumulatorValue: z.number().min(0).default(0).describe('where the sums of squares start'),
  eps: z.number().min(0).default(1e-10).describe('added to the denominator'),
});

/**
 * Adagrad: each step divided by the root of the sum of all squared gradients so far.
 *
 *     g = grad + weightDecay · p
 *     s = s + g²
 *     p = p − lr / (1 + learningRateDecay · (t − 1)) · g / (√s + eps)
 *
 * t counts the gradients of this parameter. Slots: `sum` (s), `step` (t).
 *
 * @param options - `learningRateDecay` 0, `weightDecay` 0, `initialAccumulatorValue` 0, `eps` 1e-10.
 * @throws InputError when the options do not fit.
 * @example adagrad({ initialAccumulatorValue: 0.1 })
 * @see Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.
 */
export function adagrad(options: z.input<typeof adagradOptions> = {}): Optimizer {
  const parsed = parseOptions(adagradOptions, options, 'adagrad');
  const { learningRateDecay, weightDecay, initialAccumulatorValue, eps } = parsed;
  return {
    name: 'adagrad',
    idleFactor: () => (weightDecay === 0 && Math.max(eps, initialAccumulatorValue) > 0 ? 1 : undefined),
    init: (params) => ({
      step: 0,
      slots: { sum: fullSlot(params, initialAccumulatorValue), step: stepSlot(params) },
    }),
    update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const sums = slotFor(state, 'sum', name, param.length);
        const t = countGradient(state, name);
        move(param, grad, sums, learningRate / (1 + learningRateDecay * (t - 1)), eps, weightDecay);
      }
    },
  };
}

function move(
  param: Float32Array,
  grad: Float32Array,
  sums: Float32Array,
  stepSize: number,
  eps: number,
  weightDecay: number,
): void {
  for (let i = 0; i < param.length; i++) {
    const p = param[i];
    const g = grad[i] + weightDecay * p;
    // Rounded first: a square beyond float32 stops the parameter, as in PyTorch.
    const sum = Math.fround(sums[i] + g * g);
    sums[i] = sum;
    param[i] = p - (stepSize * g) / (Math.sqrt(sum) + eps);
  }
}

/** Registry entry of {@link adagrad}. */
export const adagradEntry: OptimizerEntry = {
  name: 'adagrad',
  description: 'Adagrad: steps shrink with the sum of squared gradients',
  options: adagradOptions,
  search: { decades: [-2, -1, -3, 0, -4, -5] },
  create: adagrad,
};
