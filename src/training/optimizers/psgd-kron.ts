import { z } from 'zod';
import { RandomStream } from '../../linalg/index.js';
import { parseOptions } from '../../registry/index.js';
import { balance, denseDimensions, factorLength, factorsOf, fillIdentity, KronArithmetic } from './kron-factors.js';
import {
  beginUpdate,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  parameterFor,
  slotFor,
} from './optimizer.js';
import { averaged, descendAlong, fittedScale, limitedRate, ProbeSource, psgdOptions } from './psgd.js';
import { shapedSlot, shapeFor, shapeSlot } from './shape-slot.js';

const kronOptions = psgdOptions.extend({
  maxSize: z
    .int()
    .min(1)
    .default(2 ** 31)
    .describe('longest dimension that gets a triangular matrix; a longer one gets a diagonal'),
  maxSkew: z
    .number()
    .min(0)
    .default(10)
    .describe('a dimension so many times longer than the second longest gets a diagonal'),
});

/** Probability that a tensor's factors are balanced before a fit. */
const balanceProbability = 0.01;

/**
 * PSGD with a Kronecker product preconditioner: `P = QᵀQ`, `Q = Q₁ ⊗ Q₂ ⊗ …` with one triangular (or diagonal) factor for
 * each dimension of a tensor, fitted at each step to a random probe v and `h = H v`.
 *
 *     v ~ N(0, I), h = H v                     (criterion newton; whitening: h = grad)
 *     A = Q h, B = Q⁻ᵀ v
 *     Qᵢ = Qᵢ − rate / |A Aᵀ + B Bᵀ| · triu(A Aᵀ − B Bᵀ) Qᵢ     (A, B: dimension i by all others)
 *     p = p − lr · QᵀQ m                       (m: the gradient, or its running mean)
 *
 * Follows class `Kron` of psgd_torch 0.6.1, the version of PSGD's authors between September 2024 and the rewriting of April
 * 2025 that dropped XMat: the only one that has both preconditioners which Appendix C compares. Its default is the Newton
 * criterion with exact Hessian-vector products, so it is ours. (Appendix C's rate for Kron, 0.001, is the default of the
 * whitening one; the paper says no more.) Differs where `H v = 0` at a tensor's first probe: Q starts at the identity, the
 * reference at infinity.
 *
 * Slots: `q` (all factors, one after another), `shape`, with momentum `exp_avg`.
 *
 * @param options - `criterion` newton, `preconditionerRate` 0.1, `initialScale` 0, `updateProbability` 1, `momentum` 0,
 * `maxNorm` 0, `seed` 0, `maxSize` 2³¹, `maxSkew` 10.
 * @throws InputError when the options do not fit.
 * @example psgdKron({ criterion: 'whitening', momentum: 0.9 })
 * @see Pooladzandi and Li, "Curvature-Informed SGD via General Purpose Lie-Group Preconditioners", arXiv:2402.04553.
 */
export function psgdKron(options: z.input<typeof kronOptions> = {}): Optimizer {
  const parsed = parseOptions(kronOptions, options, 'psgd-kron');
  const { criterion, initialScale, preconditionerRate, momentum, maxNorm, seed, maxSize, maxSkew } = parsed;
  const probes = new ProbeSource('psgd-kron', parsed);
  const arithmetic = new KronArithmetic();
  const directions = new Map<string, Float64Array>();
  const work = new Map<'v' | 'h', Float64Array>();

  const factors = (state: OptimizerState, name: string, length: number) => {
    const shape = shapeFor(state, name, length);
    const dense = denseDimensions(shape, maxSize, maxSkew);
    return factorsOf(slotFor(state, 'q', name, factorLength(shape, dense)), shape, dense);
  };

  return {
    name: 'psgd-kron',
    needs: criterion === 'newton' ? ['hessianProduct'] : undefined,
    init(params, shapes) {
      const shape = shapeSlot('psgd-kron', params, shapes);
      const q = shapedSlot(shape, (known) => factorLength(known, denseDimensions(known, maxSize, maxSkew)));
      return {
        step: 0,
        slots: { q, shape, ...(momentum > 0 ? { exp_avg: fullSlot(params) } : {}) },
      };
    },
    async update(grads, state, params, learningRate, oracle) {
      const step = state.step;
      beginUpdate(state, learningRate);
      const tensors = Array.from(grads, ([name, grad]) => {
        const param = parameterFor(params, name, grad);
        return { name, grad, param, q: factors(state, name, param.length) };
      }).filter(({ param }) => param.length > 0);
      // Q is 0 until it has its scale.
      const fresh = tensors.filter(({ q }) => q[0].values[0] === 0);
      const isNeeded = fresh.length > 0 && initialScale === 0;
      const found = await probes.draw(step, grads, { isNeeded, oracle });
      for (const { name, q } of fresh) {
        const [v, h] = [found?.v.get(name), found?.h.get(name)];
        fillIdentity(q, v && h && initialScale === 0 ? fittedScale(criterion, [{ v, h }]) : initialScale || 1);
      }
      for (const { name, grad, q } of tensors) {
        const [v, h] = [found?.v.get(name), found?.h.get(name)];
        if (v && h) {
          const coin = () => new RandomStream(seed, `psgd balance ${name}`, step).uniform();
          if (q.length > 1 && coin() < balanceProbability) balance(q);
          const probe = { v: copied(v, work.get('v')), h: copied(h, work.get('h')) };
          work.set('v', probe.v).set('h', probe.h);
          await arithmetic.fitToProbe(q, probe, preconditionerRate);
        }
        const direction = copied(averaged(state, name, grad, momentum), directions.get(name));
        await arithmetic.precondition(q, direction);
        directions.set(name, direction);
      }
      const rate = limitedRate(
        learningRate,
        maxNorm,
        tensors.flatMap(({ name }) => directions.get(name) ?? []),
      );
      for (const { name, param } of tensors) descendAlong(param, directions.get(name) ?? new Float64Array(), rate);
    },
  };
}

/** The values in float64, in the given array where it has the length. */
function copied(values: Float32Array, into: Float64Array | undefined): Float64Array {
  if (into?.length !== values.length) return Float64Array.from(values);
  into.set(values);
  return into;
}

/** Registry entry of {@link psgdKron}. */
export const psgdKronEntry: OptimizerEntry = {
  name: 'psgd-kron',
  description: 'preconditioned SGD, Kronecker products of triangular matrices fitted to the Hessian',
  options: kronOptions,
  search: { decades: [-2, -3, -1, -4, 0, -5] },
  isJoint: true,
  create: psgdKron,
};
