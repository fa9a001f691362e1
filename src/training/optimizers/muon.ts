import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import { adamw } from './adam.js';
import { transpose } from './kron-kernels.js';
import {
  beginUpdate,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  parameterFor,
  slotFor,
} from './optimizer.js';
import { multiply, multiplyByOwnTranspose } from './products.js';
import { shapedSlot, shapeFor, shapeSlot } from './shape-slot.js';
import { Workspace } from './workspace.js';

const beta = z.number().min(0).lt(1);

const muonOptions = z.strictObject({
  momentum: z.number().min(0).lt(1).default(0.95).describe('share of the running mean of the gradient that is kept'),
  nesterov: z.boolean().default(true).describe('look ahead along the momentum (Nesterov)'),
  weightDecay: z.number().min(0).default(0.1).describe('share of the weight, times lr, taken off at each step'),
  nsCoefficients: z
    .tuple([z.number(), z.number(), z.number()])
    .default([3.4445, -4.775, 2.0315])
    .describe('coefficients of the Newton-Schulz iteration'),
  nsSteps: z.int().min(0).max(99).default(5).describe('Newton-Schulz iterations a step'),
  eps: z.number().positive().default(1e-7).describe('least norm that a matrix is divided by before the iterations'),
  adjustLearningRate: z
    .enum(['original', 'match-rms-adamw', 'spectral-unclamped', 'none'])
    .default('original')
    .describe(
      'factor of the rate of an a × b matrix: √max(1, a/b), 0.2 √max(a, b) as long as a step of AdamW, √(a/b), or 1',
    ),
  maxSize: z
    .int()
    .min(1)
    .default(10000)
    .describe('a matrix with a longer side, such as one row a token, is moved by AdamW'),
  othersRate: z.number().min(0).default(1).describe('factor of the rate of what AdamW moves'),
  othersBetas: z.tuple([beta, beta]).default([0.9, 0.999]).describe('betas of AdamW'),
  othersEps: z.number().min(0).default(1e-8).describe('eps of AdamW'),
});

/**
 * Muon: a matrix moves along the orthogonal matrix nearest to its momentum; what is no matrix moves by AdamW.
 *
 *     m = momentum · m + (1 − momentum) · grad
 *     u = momentum · m + (1 − momentum) · grad         (nesterov; else u = m)
 *     X = u / max(|u|, eps), transposed where it is tall
 *     nsSteps times: A = X Xᵀ, X = a X + (b A + c A²) X          (singular values come near 1, as 0.7 to 1.2)
 *     p = p · (1 − lr · weightDecay) − lr · f · X               (f: adjustLearningRate)
 *
 * PyTorch iterates in bfloat16, for speed; here it is float64. Its Muon takes matrices alone and leaves the rest to another
 * optimizer, which is AdamW in its example; so are here parameters of other than two axes, and matrices with a side above
 * `maxSize`: Muon's authors train embeddings by AdamW too.
 *
 * Slots: `momentum_buffer` (of matrices), `exp_avg`, `exp_avg_sq` and `step` (of the others), `shape`; empty where another's.
 *
 * @param options - `momentum` 0.95, `nesterov` true, `weightDecay` 0.1, `nsCoefficients` [3.4445, -4.775, 2.0315], `nsSteps` 5,
 * `eps` 1e-7, `adjustLearningRate` original, `maxSize` 10000, `othersRate` 1, `othersBetas` [0.9, 0.999], `othersEps` 1e-8.
 * @throws InputError when the options do not fit.
 * @example muon({ adjustLearningRate: 'match-rms-adamw' })
 * @see Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; Liu et al., arXiv:2502.16982
 * (match-rms-adamw); torch.optim.Muon.
 */
export function muon(options: z.input<typeof muonOptions> = {}): Optimizer {
  const parsed = parseOptions(muonOptions, options, 'muon');
  const { weightDecay, maxSize, othersRate, othersBetas, othersEps } = parsed;
  const others = adamw({ betas: othersBetas, eps: othersEps, weightDecay });
  const work = new Workspace();
  const isMatrix = (shape: readonly number[]) => shape.length === 2 && Math.max(...shape) <= maxSize;
  return {
    name: 'muon',
    init(params, shapes) {
      const shape = shapeSlot('muon', params, shapes);
      const ofMatrices = (known: readonly number[]) => (isMatrix(known) ? sizeOf(known) : 0);
      const ofOthers = (known: readonly number[]) => (isMatrix(known) ? 0 : sizeOf(known));
      return {
        step: 0,
        slots: {
          momentum_buffer: shapedSlot(shape, ofMatrices),
          exp_avg: shapedSlot(shape, ofOthers),
          exp_avg_sq: shapedSlot(shape, ofOthers),
          step: shapedSlot(shape, () => 1),
          shape,
        },
      };
    },
    async update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      const rest = new Map<string, Float32Array>();
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const shape = shapeFor(state, name, param.length);
        if (!isMatrix(shape)) rest.set(name, grad);
        else if (param.length > 0) await moveMatrix({ param, grad, shape, name }, state, learningRate, parsed, work);
      }
      // It counts the step.
      state.step -= 1;
      await others.update(rest, state, params, othersRate * learningRate);
    },
  };
}

async function moveMatrix(
  { param, grad, shape, name }: { param: Float32Array; grad: Float32Array; shape: readonly number[]; name: string },
  state: OptimizerState,
  learningRate: number,
  options: z.output<typeof muonOptions>,
  work: Workspace,
): Promise<void> {
  const { momentum, nesterov, weightDecay, adjustLearningRate } = options;
  const [rows, columns] = shape;
  const buffer = slotFor(state, 'momentum_buffer', name, param.length);
  const direction = work.take('direction', param.length);
  for (let i = 0; i < param.length; i++) {
    const g = grad[i];
    const m = momentum * buffer[i] + (1 - momentum) * g;
    buffer[i] = m;
    direction[i] = nesterov ? momentum * m + (1 - momentum) * g : m;
  }
  await orthogonalize(direction, rows, columns, options, work);
  const factor = {
    original: Math.sqrt(Math.max(1, rows / columns)),
    'match-rms-adamw': 0.2 * Math.sqrt(Math.max(rows, columns)),
    'spectral-unclamped': Math.sqrt(rows / columns),
    none: 1,
  }[adjustLearningRate];
  const shrink = 1 - learningRate * weightDecay;
  const rate = learningRate * factor;
  for (let i = 0; i < param.length; i++) param[i] = param[i] * shrink - rate * direction[i];
}

/** Newton-Schulz iterations in place, on the matrix with the short side first: A is as small as it can be. */
async function orthogonalize(
  matrix: Float64Array,
  rows: number,
  columns: number,
  { nsCoefficients: [a, b, c], nsSteps, eps }: z.output<typeof muonOptions>,
  work: Workspace,
): Promise<void> {
  const isTall = rows > columns;
  const [n, width] = isTall ? [columns, rows] : [rows, columns];
  const x = isTall ? work.take('transposed', matrix.length) : matrix;
  if (isTall) transpose(matrix, rows, columns, x);
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i] * x[i];
  const scale = 1 / Math.max(Math.sqrt(squares), eps);
  for (let i = 0; i < x.length; i++) x[i] *= scale;
  const outer = work.take('outer', n * n);
  const polynomial = work.take('polynomial', n * n);
  const product = work.take('product', x.length);
  for (let step = 0; step < nsSteps; step++) {
    await multiplyByOwnTranspose(x, n, width, outer);
    // A is symmetric, so its square is A Aᵀ.
    await multiplyByOwnTranspose(outer, n, n, polynomial);
    for (let i = 0; i < polynomial.length; i++) polynomial[i] = b * outer[i] + c * polynomial[i];
    await multiply(polynomial, x, { rows: n, inner: n, columns: width }, product);
    for (let i = 0; i < x.length; i++) x[i] = a * x[i] + product[i];
  }
  if (isTall) transpose(x, n, width, matrix);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** Registry entry of {@link muon}. */
export const muonEntry: OptimizerEntry = {
  name: 'muon',
  description: 'Muon: matrices move along their orthogonalized momentum, all else by AdamW',
  options: muonOptions,
  // Steps as long as AdamW's, so that one rate suits both.
  search: { decades: [-2, -3, -1, -4, 0, -5], options: { adjustLearningRate: 'match-rms-adamw' } },
  create: muon,
};
