import { z } from 'zod';
import { svd } from '../../linalg/index.js';
import { parseOptions } from '../../registry/index.js';
import { factorLength, factorsOf, type KronFactor } from './kron-factors.js';
import { transpose } from './kron-kernels.js';
import {
  beginUpdate,
  countGradient,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  parameterFor,
  slotFor,
  stepSlot,
} from './optimizer.js';
import { multiply } from './products.js';
import { descendAlong } from './psgd.js';
import { shapedSlot, shapeFor, shapeSlot } from './shape-slot.js';
import { eachModeGram, multiplyModes } from './tensor-modes.js';
import { Workspace } from './workspace.js';

const shampooOptions = z.strictObject({
  weightDecay: z.number().min(0).default(0).describe('L2 penalty, added to the gradient'),
  preconditioningComputeSteps: z
    .int()
    .min(1)
    .default(1)
    .describe(
      'steps between two computations of the inverse roots, which cost the most; each of the first so many has one',
    ),
  matrixEps: z.number().positive().default(1e-6).describe('multiple of the identity that the preconditioners start as'),
  maxPreconditionDim: z
    .int()
    .min(0)
    .default(10000)
    .describe('longest dimension that gets a matrix; a longer one gets its diagonal'),
});

/**
 * Shampoo: the gradient of a tensor of k dimensions, multiplied along each by the inverse 2k-th root of the sum of its
 * slices' inner products so far.
 *
 *     g = grad + weightDecay · p
 *     Hᵢ = Hᵢ + gᵢ gᵢᵀ                       (gᵢ: g unfolded along dimension i; Hᵢ starts as matrixEps · I)
 *     p = p − lr · g ×₁ H₁^(−1/2k) … ×ₖ Hₖ^(−1/2k)
 *
 * Follows pytorch-optimizer's, but for its momentum, which mixes gradients with directions that are preconditioned already
 * (there is none here), and for its first steps: with `preconditioningComputeSteps` above 1 it does not move before the first
 * roots are due; here each of the first so many steps computes them, since roots of one gradient's products alone lengthen a
 * thousandfold what the next has beside it (with them a small CNN learned at no rate). A scalar is a vector of one; it leaves
 * scalars as they are. Where sums overflow float32 the parameter stops; where matrixEps is below 1e-7 of them, rounding decides
 * how far it moves in directions that no gradient had.
 *
 * Slots: `preconditioner` (all Hᵢ, one after another), `inverse_root`, `step`, `shape`.
 *
 * @param options - `weightDecay` 0, `preconditioningComputeSteps` 1, `matrixEps` 1e-6, `maxPreconditionDim` 10000.
 * @throws InputError when the options do not fit.
 * @example shampoo({ preconditioningComputeSteps: 10 })
 * @see Gupta et al., "Shampoo: Preconditioned Stochastic Tensor Optimization", ICML 2018, Algorithm 2; diagonals: section 5.
 */
export function shampoo(options: z.input<typeof shampooOptions> = {}): Optimizer {
  const parsed = parseOptions(shampooOptions, options, 'shampoo');
  const { weightDecay, preconditioningComputeSteps, matrixEps, maxPreconditionDim } = parsed;
  const work = new Workspace();
  const denseOf = (shape: readonly number[]) => shape.map((size) => size <= maxPreconditionDim);
  const factors = (state: OptimizerState, slot: string, name: string, shape: readonly number[]) => {
    const dense = denseOf(shape);
    return factorsOf(slotFor(state, slot, name, factorLength(shape, dense)), shape, dense);
  };
  return {
    name: 'shampoo',
    init(params, shapes) {
      const shape = shapeSlot('shampoo', params, shapes);
      const lengthOf = (known: readonly number[]) => factorLength(known, denseOf(known));
      const state: OptimizerState = {
        step: 0,
        slots: {
          preconditioner: shapedSlot(shape, lengthOf),
          inverse_root: shapedSlot(shape, lengthOf),
          step: stepSlot(params),
          shape,
        },
      };
      for (const [name, known] of shape) {
        for (const factor of factors(state, 'preconditioner', name, [...known])) addToDiagonal(factor, matrixEps);
      }
      return state;
    },
    async update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const shape = shapeFor(state, name, param.length);
        const preconditioners = factors(state, 'preconditioner', name, shape);
        const roots = factors(state, 'inverse_root', name, shape);
        const t = countGradient(state, name);
        if (param.length === 0) continue;
        const direction = work.take('direction', param.length);
        for (let i = 0; i < param.length; i++) direction[i] = grad[i] + weightDecay * param[i];
        await accumulate(preconditioners, direction, shape, work);
        if (t <= preconditioningComputeSteps || t % preconditioningComputeSteps === 0) {
          for (const [mode, factor] of preconditioners.entries()) {
            await writeInverseRoot(factor, 2 * shape.length, roots[mode].values, work);
          }
        }
        const matrices = roots.map(({ values }, mode) => {
          const matrix = work.take(`root ${mode}`, values.length);
          matrix.set(values);
          return matrix;
        });
        await multiplyModes(direction, shape, matrices, work);
        descendAlong(param, direction, learningRate);
      }
    },
  };
}

function addToDiagonal({ size, dense, values }: KronFactor, value: number): void {
  for (let i = 0; i < size; i++) values[dense ? i * size + i : i] += value;
}

/** Adds the inner products of the slices along each dimension. */
async function accumulate(
  preconditioners: readonly KronFactor[],
  gradient: Float64Array,
  shape: readonly number[],
  work: Workspace,
): Promise<void> {
  const add = (mode: number, products: Float64Array) => {
    const { values } = preconditioners[mode];
    for (let i = 0; i < values.length; i++) values[i] += products[i];
  };
  await eachModeGram(gradient, shape, (mode) => preconditioners[mode].dense, add, work);
  let stride = gradient.length;
  shape.forEach((size, mode) => {
    stride /= size;
    const { dense, values } = preconditioners[mode];
    if (dense) return;
    const squares = work.take('squares', size).fill(0);
    for (let i = 0; i < gradient.length; i++) squares[Math.floor(i / stride) % size] += gradient[i] * gradient[i];
    for (let i = 0; i < size; i++) values[i] += squares[i];
  });
}

/** `out = factor^(−1/root)`; 0 where the factor has overflown, NaN where it holds one. */
async function writeInverseRoot(
  { size, dense, values }: KronFactor,
  root: number,
  out: Float32Array,
  work: Workspace,
): Promise<void> {
  if (!dense) {
    for (let i = 0; i < size; i++) out[i] = values[i] ** (-1 / root);
    return;
  }
  if (!values.every(Number.isFinite)) {
    out.fill(values.some(Number.isNaN) ? Number.NaN : 0);
    return;
  }
  // Symmetric and positive: its singular vectors are its eigenvectors.
  const { u, sigma } = svd(values, size, size);
  const scaled = work.take('scaled', size * size);
  const turned = work.take('turned vectors', size * size);
  const product = work.take('gram', size * size);
  for (let i = 0; i < u.length; i++) scaled[i] = u[i] * sigma[i % size] ** (-1 / root);
  transpose(u, size, size, turned);
  await multiply(scaled, turned, { rows: size, inner: size, columns: size }, product);
  out.set(product);
}

/** Registry entry of {@link shampoo}. */
export const shampooEntry: OptimizerEntry = {
  name: 'shampoo',
  description: 'Shampoo: gradients multiplied along each dimension by inverse roots of their sums of products',
  options: shampooOptions,
  search: {
    decades: [-1, -2, 0, -3, 1, -4],
    // The root of a 256 × 256 matrix takes half a second; of one twice as long, eight times that.
    options: { preconditioningComputeSteps: 10, maxPreconditionDim: 256 },
  },
  create: shampoo,
};
