import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  type Optimizer,
  type OptimizerEntry,
  type ParameterSet,
  parameterFor,
  requireOracle,
} from './optimizer.js';

const naturalGradientOptions = z.strictObject({
  damping: z.number().min(0).default(1e-2).describe('added to the diagonal of the Fisher matrix, λ'),
  maxIterations: z.int().min(1).default(10).describe('iterations of conjugate gradient a step at most'),
  tolerance: z
    .number()
    .min(0)
    .default(1e-3)
    .describe('conjugate gradient ends where the residual is so much shorter than the gradient'),
});

/**
 * Natural gradient: the gradient solved by the Fisher matrix of the predicted distribution, on the step's own batch.
 *
 *     G = Jᵀ H_L J                              (J: logits by parameters; H_L: loss by logits, diag(p) − p pᵀ a row)
 *     (G + λ I) d = g                           (conjugate gradient from 0, by products with G)
 *     p = p − lr · d
 *
 * For softmax and cross entropy the Fisher matrix is the Gauss-Newton matrix. Keeps nothing between steps.
 *
 * @param options - `damping` 1e-2, `maxIterations` 10, `tolerance` 1e-3.
 * @throws InputError when the options do not fit.
 * @example naturalGradient({ damping: 0.1 })
 * @see Martens, "New Insights and Perspectives on the Natural Gradient Method", JMLR 21, 2020.
 */
export function naturalGradient(options: z.input<typeof naturalGradientOptions> = {}): Optimizer {
  const { damping, maxIterations, tolerance } = parseOptions(naturalGradientOptions, options, 'natural-gradient');
  return {
    name: 'natural-gradient',
    needs: ['gaussNewtonProduct'],
    init: () => ({ step: 0, slots: {} }),
    async update(grads, state, params, learningRate, oracle) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) parameterFor(params, name, grad);
      const asked = requireOracle(oracle, 'natural-gradient');
      const fed = new Map(Array.from(grads, ([name, { length }]) => [name, new Float32Array(length)]));
      const product = async (v: Float64Array) => {
        let at = 0;
        for (const values of fed.values()) {
          for (let i = 0; i < values.length; i++) values[i] = v[at++];
        }
        return flat(grads, await asked.gaussNewtonProduct(fed));
      };
      const direction = await solve(product, flat(grads, grads), { damping, maxIterations, tolerance });
      let at = 0;
      for (const name of grads.keys()) {
        const param = params.get(name) ?? new Float32Array();
        for (let i = 0; i < param.length; i++) param[i] -= learningRate * direction[at++];
      }
    },
  };
}

/** The values as one vector, in the order of `like`. */
function flat(like: ParameterSet, values: ParameterSet): Float64Array {
  const all = new Float64Array(Array.from(like.values()).reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const [name, { length }] of like) {
    all.set(values.get(name) ?? [], start);
    start += length;
  }
  return all;
}

/** `(G + damping · I)⁻¹ b` by conjugate gradient from 0. A b that is not finite comes back, so that it shows at once. */
async function solve(
  product: (v: Float64Array) => Promise<Float64Array>,
  b: Float64Array,
  { damping, maxIterations, tolerance }: z.output<typeof naturalGradientOptions>,
): Promise<Float64Array> {
  const x = new Float64Array(b.length);
  const residual = b.slice();
  const along = b.slice();
  let squares = dot(residual, residual);
  if (!Number.isFinite(squares)) return b;
  const enough = tolerance ** 2 * squares;
  for (let iteration = 0; iteration < maxIterations && squares > enough; iteration++) {
    const image = await product(along);
    for (let i = 0; i < image.length; i++) image[i] += damping * along[i];
    const curvature = dot(along, image);
    // Rounding can take it from a matrix that is only just positive definite.
    if (!(curvature > 0)) break;
    const step = squares / curvature;
    for (let i = 0; i < x.length; i++) {
      x[i] += step * along[i];
      residual[i] -= step * image[i];
    }
    const next = dot(residual, residual);
    for (let i = 0; i < along.length; i++) along[i] = residual[i] + (next / squares) * along[i];
    squares = next;
  }
  return x;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Registry entry of {@link naturalGradient}. */
export const naturalGradientEntry: OptimizerEntry = {
  name: 'natural-gradient',
  description: 'natural gradient: the Fisher matrix of the batch solved by conjugate gradient',
  options: naturalGradientOptions,
  // Each iteration costs two evaluations.
  search: { decades: [-1, 0, -2, -3, 1, -4], options: { maxIterations: 5 } },
  isJoint: true,
  create: naturalGradient,
};
