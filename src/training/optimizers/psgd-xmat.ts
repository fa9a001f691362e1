import type { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  type ParameterSet,
  parameterFor,
  slotFor,
} from './optimizer.js';
import { averaged, descendAlong, fittedScale, limitedRate, ProbeSource, psgdOptions, smallestNormal } from './psgd.js';

/**
 * PSGD with an X-shaped preconditioner: `P = QᵀQ`, Q a diagonal and an anti-diagonal, over all parameters as one vector,
 * in the order of the state. `x̃` is x in reverse order:
 *
 *     v ~ N(0, I), h = H v                     (criterion newton; whitening: h = grad)
 *     Q = diag(a) + antidiag(b)
 *     A = a h + b h̃,  B = Q⁻ᵀ v = (ã v − b̃ ṽ) / (a ã − b b̃)
 *     α = A² − B²,  β = A Ã − B B̃              (β = 0 in the middle of an odd number)
 *     μ = rate / max(A² + B²)
 *     a = a − μ (α a + β b̃),  b = b − μ (α b + β ã)
 *     p = p − lr · QᵀQ m                       (m: the gradient, or its running mean)
 *
 * Follows class `XMat` of psgd_torch 0.6.1 with its default, the Newton criterion; see {@link psgdKron} for why, and for
 * where `H v = 0`. A parameter without a gradient keeps its part of a and b.
 *
 * Slots: `a`, `b`, with momentum `exp_avg`; scalar `scaled` (1 once a has its scale).
 *
 * @param options - `criterion` newton, `preconditionerRate` 0.1, `initialScale` 0, `updateProbability` 1, `momentum` 0,
 * `maxNorm` 0, `seed` 0.
 * @throws InputError when the options do not fit.
 * @example psgdXmat({ updateProbability: 0.1 })
 * @see Pooladzandi and Li, "Curvature-Informed SGD via General Purpose Lie-Group Preconditioners", arXiv:2402.04553.
 */
export function psgdXmat(options: z.input<typeof psgdOptions> = {}): Optimizer {
  const parsed = parseOptions(psgdOptions, options, 'psgd-xmat');
  const { criterion, initialScale, preconditionerRate, momentum, maxNorm } = parsed;
  const probes = new ProbeSource('psgd-xmat', parsed);
  const buffers = new Map<string, Float64Array>();
  const buffer = (name: string, length: number) => {
    const known = buffers.get(name);
    const kept = known?.length === length ? known : new Float64Array(length);
    buffers.set(name, kept);
    return kept;
  };

  return {
    name: 'psgd-xmat',
    needs: criterion === 'newton' ? ['hessianProduct'] : undefined,
    init: (params) => ({
      step: 0,
      slots: {
        a: fullSlot(params),
        b: fullSlot(params),
        ...(momentum > 0 ? { exp_avg: fullSlot(params) } : {}),
      },
      scalars: { scaled: 0 },
    }),
    async update(grads, state, params, learningRate, oracle) {
      const step = state.step;
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const { length } = parameterFor(params, name, grad);
        for (const slot of ['a', 'b']) slotFor(state, slot, name, length);
      }
      const { parts, length } = layoutOf(state.slots.a ?? new Map());
      const moving = parts.filter(({ name }) => grads.has(name));
      // Values by name as one vector over all parameters, 0 where a parameter is not among `of`.
      const vector = (name: string, values: ParameterSet, of = moving) => {
        const flat = buffer(name, length).fill(0);
        for (const part of of) flat.set(values.get(part.name) ?? [], part.start);
        return flat;
      };

      const isScaled = state.scalars?.scaled === 1;
      const probe = await probes.draw(step, grads, { isNeeded: !isScaled && initialScale === 0, oracle });
      if (!isScaled) {
        const pairs = moving.map(({ name }) => ({ v: probe?.v.get(name) ?? empty, h: probe?.h.get(name) ?? empty }));
        const scale = initialScale > 0 ? initialScale : fittedScale(criterion, pairs);
        for (const values of state.slots.a.values()) values.fill(scale);
        state.scalars = { scaled: 1 };
      }
      if (probe) {
        const { v, h } = probe;
        const [a, b] = [vector('a', state.slots.a, parts), vector('b', state.slots.b, parts)];
        const work = { A: buffer('A', length), B: buffer('B', length) };
        fitToProbe(a, b, vector('v', v), vector('h', h), preconditionerRate, work);
        for (const { name, start, end } of moving) {
          slotFor(state, 'a', name, end - start).set(a.subarray(start, end));
          slotFor(state, 'b', name, end - start).set(b.subarray(start, end));
        }
      }

      const means = new Map(Array.from(grads, ([name, grad]) => [name, averaged(state, name, grad, momentum)]));
      const direction = precondition(
        vector('a', state.slots.a, parts),
        vector('b', state.slots.b, parts),
        vector('m', means),
        buffer('direction', length),
      );
      const steps = moving.map(({ name, start, end }) => ({ name, along: direction.subarray(start, end) }));
      const rate = limitedRate(
        learningRate,
        maxNorm,
        steps.map(({ along }) => along),
      );
      for (const { name, along } of steps) descendAlong(params.get(name) ?? empty, along, rate);
    },
  };
}

const empty = new Float32Array(0);

/** Where each parameter lies in the vector of all. */
function layoutOf(slot: ParameterSet): { parts: { name: string; start: number; end: number }[]; length: number } {
  let length = 0;
  const parts = Array.from(slot, ([name, values]) => {
    const start = length;
    length += values.length;
    return { name, start, end: length };
  });
  return { parts, length };
}

/** One step of `Q = diag(a) + antidiag(b)` towards the probe; see {@link psgdXmat} for the formula. */
function fitToProbe(
  a: Float64Array,
  b: Float64Array,
  v: Float64Array,
  h: Float64Array,
  rate: number,
  { A, B }: { A: Float64Array; B: Float64Array },
): void {
  const last = a.length - 1;
  let largest = 0;
  for (let i = 0; i <= last; i++) {
    const j = last - i;
    A[i] = a[i] * h[i] + b[i] * h[j];
    B[i] = (a[j] * v[i] - b[j] * v[j]) / (a[i] * a[j] - b[i] * b[j]);
    largest = Math.max(largest, A[i] * A[i] + B[i] * B[i]);
  }
  const mu = rate / (largest + smallestNormal);
  for (let i = 0, j = last; i <= j; i++, j--) {
    const [a0, b0, a1, b1] = [a[i], b[i], a[j], b[j]];
    const beta = i === j ? 0 : A[i] * A[j] - B[i] * B[j];
    const alpha0 = A[i] * A[i] - B[i] * B[i];
    const alpha1 = A[j] * A[j] - B[j] * B[j];
    a[i] = a0 - mu * (alpha0 * a0 + beta * b1);
    b[i] = b0 - mu * (alpha0 * b0 + beta * a1);
    if (i === j) break;
    a[j] = a1 - mu * (alpha1 * a1 + beta * b0);
    b[j] = b1 - mu * (alpha1 * b1 + beta * a0);
  }
}

/** `QᵀQ m`. */
function precondition(a: Float64Array, b: Float64Array, m: Float64Array, out: Float64Array): Float64Array {
  const last = a.length - 1;
  for (let i = 0; i <= last; i++) {
    const j = last - i;
    out[i] = (a[i] * a[i] + b[j] * b[j]) * m[i] + (a[i] * b[i] + a[j] * b[j]) * m[j];
  }
  return out;
}

/** Registry entry of {@link psgdXmat}. */
export const psgdXmatEntry: OptimizerEntry = {
  name: 'psgd-xmat',
  description: 'preconditioned SGD, a diagonal and an anti-diagonal fitted to the Hessian',
  options: psgdOptions,
  search: { decades: [-2, -3, -1, -4, 0, -5] },
  isJoint: true,
  create: psgdXmat,
};
