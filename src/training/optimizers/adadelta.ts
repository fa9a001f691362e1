import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import { beginUpdate, fullSlot, type Optimizer, type OptimizerEntry, parameterFor, slotFor } from './optimizer.js';

const adadeltaOptions = z.strictObject({
  rho: z.number().min(0).max(1).default(0.9).describe('share of the running means of the squares that is kept'),
  eps: z.number().min(0).default(1e-6).describe('added to both running means before their roots are taken'),
  weightDecay: z.number().min(0).default(0).describe('L2 penalty, added to the gradient'),
});

/**
 * Adadelta: the step's own running size over the gradient's stands in for a tuned learning rate.
 *
 *     g = grad + weightDecay · p
 *     s = rho · s + (1 − rho) · g²
 *     d = √((a + eps) / (s + eps)) · g
 *     a = rho · a + (1 − rho) · d²
 *     p = p − lr · d
 *
 * Meant for a learning rate of 1. Slots: `square_avg` (s), `acc_delta` (a).
 *
 * @param options - `rho` 0.9, `eps` 1e-6, `weightDecay` 0.
 * @throws InputError when the options do not fit.
 * @example adadelta({ rho: 0.95 })
 * @see Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.
 */
export function adadelta(options: z.input<typeof adadeltaOptions> = {}): Optimizer {
  const { rho, eps, weightDecay } = parseOptions(adadeltaOptions, options, 'adadelta');
  return {
    name: 'adadelta',
    idleFactor: () => (weightDecay === 0 && eps > 0 ? 1 : undefined),
    init: (params) => ({ step: 0, slots: { square_avg: fullSlot(params), acc_delta: fullSlot(params) } }),
    update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const squares = slotFor(state, 'square_avg', name, param.length);
        const deltas = slotFor(state, 'acc_delta', name, param.length);
        move(param, grad, squares, deltas, learningRate, rho, eps, weightDecay);
      }
    },
  };
}

function move(
  param: Float32Array,
  grad: Float32Array,
  squares: Float32Array,
  deltas: Float32Array,
  learningRate: number,
  rho: number,
  eps: number,
  weightDecay: number,
): void {
  const rest = 1 - rho;
  for (let i = 0; i < param.length; i++) {
    const p = param[i];
    const g = grad[i] + weightDecay * p;
    // Rounded first: a square beyond float32 stops the parameter, as in PyTorch.
    const square = Math.fround(rho * squares[i] + rest * g * g);
    const delta = Math.sqrt((deltas[i] + eps) / (square + eps)) * g;
    squares[i] = square;
    deltas[i] = rho * deltas[i] + rest * delta * delta;
    param[i] = p - learningRate * delta;
  }
}

/** Registry entry of {@link adadelta}. */
export const adadeltaEntry: OptimizerEntry = {
  name: 'adadelta',
  description: 'Adadelta, meant for a learning rate of 1',
  options: adadeltaOptions,
  search: { decades: [0, 1, -1, -2, -3, -4] },
  create: adadelta,
};
