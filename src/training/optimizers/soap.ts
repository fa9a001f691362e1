import { z } from 'zod';
import { svd, thinQr } from '../../linalg/index.js';
import { parseOptions } from '../../registry/index.js';
import { transpose } from './kron-kernels.js';
import {
  beginUpdate,
  countGradient,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  parameterFor,
  slotFor,
  stepSlot,
} from './optimizer.js';
import { multiply } from './products.js';
import { shapedSlot, shapeFor, shapeSlot } from './shape-slot.js';
import { eachModeGram, multiplyModes } from './tensor-modes.js';
import { Workspace } from './workspace.js';

const share = z.number().min(0).lt(1);

const soapOptions = z.strictObject({
  betas: z
    .tuple([share, share])
    .default([0.95, 0.95])
    .describe('share of the running means of the gradient and of its square that is kept'),
  shampooBeta: share.default(0.95).describe('share of the running means of inner products that is kept'),
  eps: z.number().min(0).default(1e-8).describe('added to the denominator'),
  weightDecay: z.number().min(0).default(0.01).describe('share of the weight, times lr, taken off at each step'),
  preconditionFrequency: z.int().min(1).default(10).describe('steps between two updates of the bases'),
  maxPreconditionDim: z
    .int()
    .min(0)
    .default(10000)
    .describe('longest dimension that gets a basis; a longer one stays as it is'),
  precondition1d: z.boolean().default(false).describe('whether vectors get a basis'),
  normalizeGradient: z.boolean().default(false).describe('bring every direction to a root mean square of 1'),
  correctBias: z.boolean().default(true).describe("correct the means' start at 0"),
});

type SoapOptions = z.output<typeof soapOptions>;

/**
 * SOAP: Adam in the eigenbases of Shampoo's preconditioners.
 *
 *     first gradient: Hᵢ = (1 − shampooBeta) · gᵢ gᵢᵀ, Qᵢ = eigenvectors of Hᵢ; nothing moves
 *     g′ = grad in the bases Qᵢ
 *     m = β1 · m + (1 − β1) · grad,  v = β2 · v + (1 − β2) · g′²
 *     d = (m in the bases / (√v + eps)), back from the bases
 *     p = (p − lr · √(1 − β2ᵗ) / (1 − β1ᵗ) · d) · (1 − lr · weightDecay)
 *     Hᵢ = shampooBeta · Hᵢ + (1 − shampooBeta) · gᵢ gᵢᵀ
 *     every preconditionFrequency steps: columns of Qᵢ (and v) by falling Qᵢᵀ Hᵢ Qᵢ, Qᵢ = Q of the QR of Hᵢ Qᵢ
 *
 * gᵢ is the gradient unfolded along dimension i; t counts the gradients but the first. Where Hᵢ has equal eigenvalues their
 * basis is any: directions that depend on it are as good, and not those of another implementation.
 *
 * Slots: `exp_avg` (m), `exp_avg_sq` (v), `step`, `gg` (all Hᵢ, one after another), `q`, `shape`.
 *
 * @param options - `betas` [0.95, 0.95], `shampooBeta` 0.95, `eps` 1e-8, `weightDecay` 0.01,
 * `preconditionFrequency` 10, `maxPreconditionDim` 10000, `precondition1d` false, `normalizeGradient` false, `correctBias` true.
 * @throws InputError when the options do not fit.
 * @example soap({ maxPreconditionDim: 512 })
 * @see Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", ICLR 2025, in the form of its authors' code and of
 * pytorch-optimizer (which has merge_dims too).
 */
export function soap(options: z.input<typeof soapOptions> = {}): Optimizer {
  const parsed = parseOptions(soapOptions, options, 'soap');
  const { maxPreconditionDim, precondition1d } = parsed;
  const work = new Workspace();
  const hasBasis = (shape: readonly number[]) =>
    shape.map((size) => size <= maxPreconditionDim && (shape.length > 1 || precondition1d));
  const lengthOf = (shape: readonly number[]) => {
    const based = hasBasis(shape);
    return shape.reduce((sum, size, mode) => sum + (based[mode] ? size * size : 0), 0);
  };
  const matricesOf = (state: OptimizerState, slot: string, name: string, shape: readonly number[]) => {
    const all = slotFor(state, slot, name, lengthOf(shape));
    const based = hasBasis(shape);
    let at = 0;
    return shape.map((size, mode) => {
      const start = at;
      if (based[mode]) at += size * size;
      return based[mode] ? all.subarray(start, at) : undefined;
    });
  };
  return {
    name: 'soap',
    init(params, shapes) {
      const shape = shapeSlot('soap', params, shapes);
      return {
        step: 0,
        slots: {
          exp_avg: fullSlot(params),
          exp_avg_sq: fullSlot(params),
          step: stepSlot(params),
          gg: shapedSlot(shape, lengthOf),
          q: shapedSlot(shape, lengthOf),
          shape,
        },
      };
    },
    async update(grads, state, params, learningRate) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const shape = shapeFor(state, name, param.length);
        const tensor: Tensor = {
          param,
          grad,
          shape,
          m: slotFor(state, 'exp_avg', name, param.length),
          v: slotFor(state, 'exp_avg_sq', name, param.length),
          gg: matricesOf(state, 'gg', name, shape),
          q: matricesOf(state, 'q', name, shape),
        };
        const t = countGradient(state, name) - 1;
        if (param.length === 0) continue;
        if (t > 0) await move(tensor, t, learningRate, parsed, work);
        await average(tensor, parsed, work);
        if (t === 0) {
          tensor.gg.forEach((matrix, mode) => {
            if (matrix) tensor.q[mode]?.set(eigenvectors(matrix, shape[mode]));
          });
        } else if (t % parsed.preconditionFrequency === 0) await turnBases(tensor, work);
      }
    },
  };
}

/** A parameter with all that is known of it; matrices are `[dᵢ, dᵢ]`, none where a dimension has no basis. */
interface Tensor {
  readonly param: Float32Array;
  readonly grad: Float32Array;
  readonly shape: readonly number[];
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly gg: readonly (Float32Array | undefined)[];
  readonly q: readonly (Float32Array | undefined)[];
}

async function move(
  { param, grad, shape, m, v, q }: Tensor,
  t: number,
  learningRate: number,
  { betas: [beta1, beta2], eps, weightDecay, normalizeGradient, correctBias }: SoapOptions,
  work: Workspace,
): Promise<void> {
  const into = q.map((matrix, mode) => matrix && copied(matrix, work.take(`into ${mode}`, matrix.length)));
  const back = q.map((matrix, mode) => {
    const turned = matrix && work.take(`back ${mode}`, matrix.length);
    if (turned) transpose(matrix, shape[mode], shape[mode], turned);
    return turned;
  });
  const projected = copied(grad, work.take('projected', grad.length));
  await multiplyModes(projected, shape, into, work);
  const direction = work.take('direction', grad.length);
  for (let i = 0; i < grad.length; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * grad[i];
    v[i] = beta2 * v[i] + (1 - beta2) * projected[i] * projected[i];
    direction[i] = m[i];
  }
  await multiplyModes(direction, shape, into, work);
  for (let i = 0; i < grad.length; i++) direction[i] /= Math.sqrt(v[i]) + eps;
  await multiplyModes(direction, shape, back, work);
  let rate = correctBias ? (learningRate * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t) : learningRate;
  if (normalizeGradient) {
    const squares = direction.reduce((sum, value) => sum + value * value, 0);
    rate /= Math.sqrt(squares / direction.length) + eps;
  }
  const shrink = 1 - learningRate * weightDecay;
  for (let i = 0; i < param.length; i++) param[i] = (param[i] - rate * direction[i]) * shrink;
}

/** Takes the gradient into the running means of inner products. */
async function average({ grad, shape, gg }: Tensor, { shampooBeta }: SoapOptions, work: Workspace): Promise<void> {
  const add = (mode: number, products: Float64Array) => {
    const matrix = gg[mode] ?? new Float32Array();
    for (let i = 0; i < matrix.length; i++) {
      matrix[i] = shampooBeta * matrix[i] + (1 - shampooBeta) * products[i];
    }
  };
  const gradient = copied(grad, work.take('projected', grad.length));
  await eachModeGram(gradient, shape, (mode) => gg[mode] !== undefined, add, work);
}

/** Eigenvectors as columns, the largest eigenvalue's first; NaN where the matrix is not finite, so that it shows. */
function eigenvectors(matrix: Float32Array, size: number): Float64Array {
  if (!matrix.every(Number.isFinite)) return new Float64Array(size * size).fill(Number.NaN);
  // Symmetric and positive: its singular vectors are its eigenvectors.
  return svd(matrix, size, size).u;
}

/** One power iteration of every basis; v follows the new order of the columns. */
async function turnBases({ shape, v, gg, q }: Tensor, work: Workspace): Promise<void> {
  let stride = v.length;
  for (const [mode, size] of shape.entries()) {
    stride /= size;
    const [basis, matrix] = [q[mode], gg[mode]];
    if (!basis || !matrix) continue;
    const old = copied(basis, work.take(`into ${mode}`, basis.length));
    const product = work.take('gram', size * size);
    const factor = copied(matrix, work.take(`back ${mode}`, matrix.length));
    await multiply(factor, old, { rows: size, inner: size, columns: size }, product);
    const estimates = new Float64Array(size);
    for (let i = 0; i < product.length; i++) estimates[i % size] += old[i] * product[i];
    const order = Array.from(estimates.keys()).sort((a, b) => estimates[b] - estimates[a]);
    for (let i = 0; i < product.length; i++) old[i] = product[i - (i % size) + order[i % size]];
    thinQr(old, size, size, product, work.take('triangle', size * size), work.take('qr', size * (size + 1)));
    basis.set(product);
    const before = copied(v, work.take('projected', v.length));
    for (let i = 0; i < v.length; i++) {
      const k = Math.floor(i / stride) % size;
      v[i] = before[i + (order[k] - k) * stride];
    }
  }
}

function copied(values: Float32Array, into: Float64Array): Float64Array {
  into.set(values);
  return into;
}

/** Registry entry of {@link soap}. */
export const soapEntry: OptimizerEntry = {
  name: 'soap',
  description: "SOAP: Adam in the eigenbases of Shampoo's preconditioners",
  options: soapOptions,
  // The first basis of a 256 × 256 matrix takes half a second; of one twice as long, eight times that.
  search: { decades: [-2, -3, -1, -4, 0, -5], options: { maxPreconditionDim: 256 } },
  create: soap,
};
