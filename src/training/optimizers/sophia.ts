import { z } from 'zod';
import { RandomStream } from '../../linalg/index.js';
import { parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  type ParameterSet,
  parameterFor,
  requireOracle,
  slotFor,
} from './optimizer.js';

const share = z.number().min(0).lt(1);

const sophiaOptions = z.strictObject({
  betas: z
    .tuple([share, share])
    .default([0.96, 0.99])
    .describe('share of the running means of the gradient and of the curvature that is kept'),
  weightDecay: z.number().min(0).default(0).describe('share of the weight, times lr, taken off at each step'),
  p: z.number().positive().default(1e-2).describe('largest step of a weight, before the learning rate'),
  eps: z.number().positive().default(1e-12).describe('least curvature that the gradient is divided by'),
  updatePeriod: z.int().min(1).default(10).describe('steps between two estimates of the curvature'),
  numSamples: z.int().min(1).default(1).describe('random probes of an estimate'),
  hessianDistribution: z.enum(['gaussian', 'rademacher']).default('gaussian').describe('what probes are drawn from'),
  estimator: z
    .enum(['hutchinson', 'gauss-newton'])
    .default('hutchinson')
    .describe(
      'whose diagonal is estimated: the Hessian (hutchinson), or the Gauss-Newton matrix, which has no negative values',
    ),
  seed: z.int().default(0).describe('decides the random probes'),
});

/**
 * Sophia: the momentum divided by a running estimate of the diagonal of the Hessian, cut at a largest step.
 *
 *     every updatePeriod steps: h = β2 · h + (1 − β2) · mean of u ⊙ (H u)       (u random; gauss-newton: G in the place of H)
 *     m = β1 · m + (1 − β1) · grad
 *     p = p · (1 − lr · weightDecay) − lr · clip(m / max(h, eps), −p, p)
 *
 * The probe of a step depends on the seed, the parameter's name and the step alone. Sophia-G of the paper estimates the diagonal
 * of G from a gradient at sampled labels; products with G are exact but for u, and need no labels.
 *
 * Slots: `momentum` (m), `hessian_moment` (h).
 *
 * @param options - `betas` [0.96, 0.99], `weightDecay` 0, `p` 1e-2, `eps` 1e-12, `updatePeriod` 10, `numSamples` 1,
 * `hessianDistribution` gaussian, `estimator` hutchinson, `seed` 0.
 * @throws InputError when the options do not fit.
 * @example sophia({ estimator: 'gauss-newton' })
 * @see Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", ICLR 2024, in the
 * form of SophiaH of pytorch-optimizer.
 */
export function sophia(options: z.input<typeof sophiaOptions> = {}): Optimizer {
  const parsed = parseOptions(sophiaOptions, options, 'sophia');
  const { betas, weightDecay, p: largest, eps, updatePeriod, numSamples, estimator } = parsed;
  const { hessianDistribution, seed } = parsed;
  const [beta1, beta2] = betas;
  const probes = new Map<string, Float32Array>();
  const draw = (grads: ParameterSet, index: number) => {
    probes.clear();
    for (const [name, { length }] of grads) {
      const u = new Float32Array(length);
      const stream = new RandomStream(seed, `sophia probe ${name}`, index);
      if (hessianDistribution === 'gaussian') stream.fillNormal(u, 0, 1);
      else {
        stream.fillBernoulli(u, 0.5, 2);
        for (let i = 0; i < length; i++) u[i] -= 1;
      }
      probes.set(name, u);
    }
    return probes;
  };
  return {
    name: 'sophia',
    needs: [estimator === 'hutchinson' ? 'hessianProduct' : 'gaussNewtonProduct'],
    init: (params) => ({ step: 0, slots: { momentum: fullSlot(params), hessian_moment: fullSlot(params) } }),
    async update(grads, state, params, learningRate, oracle) {
      const { step } = state;
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const { length } = parameterFor(params, name, grad);
        for (const slot of ['momentum', 'hessian_moment']) slotFor(state, slot, name, length);
      }
      const asked = requireOracle(oracle, 'sophia');
      if (step % updatePeriod === 0) {
        for (let sample = 0; sample < numSamples; sample++) {
          const u = draw(grads, step * numSamples + sample);
          const product = await (estimator === 'hutchinson' ? asked.hessianProduct(u) : asked.gaussNewtonProduct(u));
          const keep = sample === 0 ? beta2 : 1;
          for (const [name, probe] of u) {
            const h = slotFor(state, 'hessian_moment', name, probe.length);
            const curved = product.get(name) ?? new Float32Array(probe.length);
            for (let i = 0; i < h.length; i++) h[i] = keep * h[i] + ((1 - beta2) / numSamples) * probe[i] * curved[i];
          }
        }
      }
      const shrink = 1 - learningRate * weightDecay;
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const m = slotFor(state, 'momentum', name, param.length);
        const h = slotFor(state, 'hessian_moment', name, param.length);
        for (let i = 0; i < param.length; i++) {
          const mean = beta1 * m[i] + (1 - beta1) * grad[i];
          m[i] = mean;
          const move = Math.min(Math.max(mean / Math.max(h[i], eps), -largest), largest);
          param[i] = param[i] * shrink - learningRate * move;
        }
      }
    },
  };
}

/** Registry entry of {@link sophia}. */
export const sophiaEntry: OptimizerEntry = {
  name: 'sophia',
  description: 'Sophia: momentum divided by an estimate of the diagonal of the Hessian, cut at a largest step',
  options: sophiaOptions,
  search: { decades: [-1, -2, 0, -3, 1, -4] },
  isJoint: true,
  create: sophia,
};
