import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import { beginUpdate, fullSlot, type Optimizer, type OptimizerEntry, parameterFor, slotFor } from './optimizer.js';

const rmspropOptions = z.strictObject({
  alpha: z.number().min(0).max(1).default(0.99).describe('share of the running mean of the squares that is kept'),
  eps: z.number().min(0).default(1e-8).describe('added to the denominator'),
  weightDecay: z.number().min(0).default(0).describe('L2 penalty, added to the gradient'),
  momentum: z.number().min(0).default(0).describe('share of the last direction that is kept; 0 keeps none'),
  centered: z.boolean().default(false).describe('divide by the standard deviation of the gradient, not by its size'),
});

/**
 * RMSprop: each step divided by the root of the running mean of the squared gradient.
 *
 *     g = grad + weightDecay · p
 *     s = alpha · s + (1 − alpha) · g²
 *     a = alpha · a + (1 − alpha) · g          (centered; then s − a² stands in the place of s below)
 *     b = momentum · b + g / (√s + eps)
 *     p = p − lr · b
 *
 * Where rounding makes `s − a²` negative it counts as 0; PyTorch's is NaN there.
 *
 * Slots: `square_avg` (s), with momentum `momentum_buffer` (b), with centered `grad_avg` (a).
 *
 * @param options - `alpha` 0.99, `eps` 1e-8, `weightDecay` 0, `momentum` 0, `centered` false.
 * @throws InputError when the options do not fit.
 * @example rmsprop({ momentum: 0.9 })
 * @see Tieleman and Hinton, "Lecture 6.5: RMSProp", Coursera 2012, in the form of torch.optim.RMSprop; Graves,
 * arXiv:1308.0850 (centered).
 */
export function rmsprop(options: z.input<typeof rmspropOptions> = {}): Optimizer {
  const { alpha, eps, weightDecay, momentum, centered } = parseOptions(rmspropOptions, options, 'rmsprop');
  return {
    name: 'rmsprop',
    init: (params) => ({
      step: 0,
      slots: {
        square_avg: fullSlot(params),
        ...(momentum > 0 ? { momentum_buffer: fullSlot(params) } : {}),
        ...(centered ? { grad_avg: fullSlot(params) } : {}),
      },
    }),
    update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      const optional = (slot: string, isKept: boolean, name: string, { length }: Float32Array) =>
        isKept ? slotFor(state, slot, name, length) : undefined;
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const squares = slotFor(state, 'square_avg', name, param.length);
        const buffer = optional('momentum_buffer', momentum > 0, name, param);
        const means = optional('grad_avg', centered, name, param);
        move(param, grad, { squares, buffer, means }, { learningRate, alpha, eps, weightDecay, momentum });
      }
    },
  };
}

function move(
  param: Float32Array,
  grad: Float32Array,
  { squares, buffer, means }: { squares: Float32Array; buffer?: Float32Array; means?: Float32Array },
  {
    learningRate,
    alpha,
    eps,
    weightDecay,
    momentum,
  }: { learningRate: number; alpha: number; eps: number; weightDecay: number; momentum: number },
): void {
  const rest = 1 - alpha;
  for (let i = 0; i < param.length; i++) {
    const p = param[i];
    const g = grad[i] + weightDecay * p;
    // Rounded first: a square beyond float32 stops the parameter, as in PyTorch.
    let square = Math.fround(alpha * squares[i] + rest * g * g);
    squares[i] = square;
    if (means) {
      const mean = alpha * means[i] + rest * g;
      means[i] = mean;
      square = Math.max(0, square - mean * mean);
    }
    let direction = g / (Math.sqrt(square) + eps);
    if (buffer) {
      direction += momentum * buffer[i];
      buffer[i] = direction;
    }
    param[i] = p - learningRate * direction;
  }
}

/** Registry entry of {@link rmsprop}. */
export const rmspropEntry: OptimizerEntry = {
  name: 'rmsprop',
  description: 'RMSprop: steps divided by the running size of the gradient, with momentum on demand',
  options: rmspropOptions,
  search: { decades: [-3, -2, -4, -1, -5, 0] },
  create: rmsprop,
};
