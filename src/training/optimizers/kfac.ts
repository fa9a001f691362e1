import { z } from 'zod';
import { cholesky, choleskyInverse } from '../../linalg/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  fullSlot,
  type LayerFactors,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  type ParameterSet,
  parameterFor,
  requireOracle,
  slotFor,
} from './optimizer.js';
import { multiply } from './products.js';
import { shapedSlot, shapeFor, shapeSlot } from './shape-slot.js';
import { Workspace } from './workspace.js';

const kfacOptions = z.strictObject({
  damping: z
    .number()
    .positive()
    .default(1e-2)
    .describe('added to the curvature, λ; its root to both factors (factored Tikhonov damping)'),
  factorDecay: z.number().min(0).lt(1).default(0.95).describe('share of the running means of the factors that is kept'),
  factorPeriod: z.int().min(1).default(1).describe('steps between two measurements of the factors'),
  inversePeriod: z
    .int()
    .min(1)
    .default(10)
    .describe('steps between two computations of their inverses; each of the first three has one'),
  momentum: z.number().min(0).lt(1).default(0.9).describe('share of the last direction that is kept'),
  klClip: z
    .number()
    .min(0)
    .default(1e-3)
    .describe('largest lr² · directions · gradients, twice how far predictions move by KL; 0: no limit'),
  weightDecay: z.number().min(0).default(0).describe('L2 penalty, added to the gradient and to the damping'),
  longest: z
    .int()
    .min(0)
    .default(2048)
    .describe('longest side of a matrix with a whole factor; a longer one has its diagonal'),
  labels: z
    .enum(['drawn', 'given'])
    .default('drawn')
    .describe(
      'answers whose gradients the factors are of: drawn from what the model predicts, or those of the batch (empirical Fisher)',
    ),
  seed: z.int().default(0).describe('decides which answers are drawn'),
});

/** Steps from the first at which inverses are computed whatever their period is: averages of few change much. */
const firstInverses = 3;

/**
 * K-FAC: the gradient of each linear layer and convolution between the inverses of two factors, whose Kronecker product stands
 * for the layer's Fisher matrix.
 *
 *     A = ε · A + (1 − ε) · mean over examples of Σ x xᵀ        (x: what the layer reads, with a last element 1 for the bias;
 *     G = ε · G + (1 − ε) · mean over examples, places of g gᵀ   g: gradients at what it gives; ε = min(1 − 1/k, factorDecay))
 *     π = √(tr A / dim A · dim G / tr G)
 *     D = gradient of [W b] + weightDecay · [W b]
 *     V = (G + √(λ + weightDecay) / π · I)⁻¹ D (A + π √(λ + weightDecay) · I)⁻¹
 *     V = V · min(1, √(klClip / (lr² · Σ ⟨V, D⟩)))               (Σ over the layers)
 *     m = momentum · m + V,  p = p − lr · m
 *
 * k counts measurements of the factors. Sums are over the places of a convolution, or the tokens of a text. Parameters of no such
 * layer (embeddings, norms, weights that are used in another way) go along their plain gradient with the same momentum. The papers
 * adapt λ, and choose lr and momentum by products with the exact Fisher matrix; here they are given, and `klClip` bounds the step.
 *
 * Slots: `momentum_buffer`, `left_factor` and `right_factor` (of rows and columns as they are stored), `left_inverse`,
 * `right_inverse`, `layer` (what a parameter is in its layer), `shape`.
 *
 * @param options - `damping` 1e-2, `factorDecay` 0.95, `factorPeriod` 1, `inversePeriod` 10, `momentum` 0.9, `klClip` 1e-3,
 * `weightDecay` 0, `longest` 2048, `labels` drawn, `seed` 0.
 * @throws InputError when the options do not fit.
 * @example kfac({ damping: 1e-3, klClip: 0 })
 * @see Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015, sections 4 to 6;
 * Grosse and Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", ICML 2016; the bound on the step:
 * Ba, Grosse and Martens, "Distributed Second-Order Optimization using Kronecker-Factored Approximations", ICLR 2017.
 */
export function kfac(options: z.input<typeof kfacOptions> = {}): Optimizer {
  const parsed = parseOptions(kfacOptions, options, 'kfac');
  const { damping, factorDecay, factorPeriod, inversePeriod, momentum, klClip, weightDecay } = parsed;
  const { longest, labels, seed } = parsed;
  const work = new Workspace();
  return {
    name: 'kfac',
    needs: ['kroneckerFactors'],
    init(params, shapes) {
      const shape = shapeSlot('kfac', params, shapes);
      const side = (of: (shape: readonly number[]) => number) => () =>
        shapedSlot(shape, (known) => (known.length > 1 ? lengthOf(of(known) + 1, of(known) <= longest) : 0));
      const [left, right] = [side(([rows]) => rows), side((known) => sizeOf(known.slice(1)))];
      return {
        step: 0,
        slots: {
          momentum_buffer: fullSlot(params),
          ...{ left_factor: left(), right_factor: right(), left_inverse: left(), right_inverse: right() },
          layer: new Map(Array.from(params.keys(), (name) => [name, new Float32Array(2)])),
          shape,
        },
      };
    },
    async update(grads, state, params, learningRate, oracle) {
      beginUpdate(state, learningRate);
      for (const [name, grad] of grads) {
        slotFor(state, 'momentum_buffer', name, parameterFor(params, name, grad).length);
      }
      const asked = requireOracle(oracle, 'kfac');
      const done = state.step - 1;
      const layersNow = () => [...grads.keys()].flatMap((name) => layerOf(state, params, name, longest) ?? []);
      if (done % factorPeriod === 0) {
        const keep = Math.min(1 - 1 / (done / factorPeriod + 1), factorDecay);
        const found = new Map(
          (await asked.kroneckerFactors({ labels, seed, longest })).map((factors) => [factors.weight, factors]),
        );
        for (const factors of found.values()) if (grads.has(factors.weight)) join(state, params, factors);
        for (const layer of layersNow()) {
          const factors = found.get(layer.weight);
          if (!factors) continue;
          average(layer.inputs.factor, factors.inputs, keep);
          average(layer.outputs.factor, factors.outputs, keep);
        }
      }
      const layers = layersNow();
      if (done < firstInverses || done % inversePeriod === 0) {
        for (const layer of layers) invert(layer, damping + weightDecay);
      }
      /** Gradient and penalty; of what has no gradient 0. */
      const slopeOf = (name: string) => {
        const [grad, param] = [grads.get(name), params.get(name) ?? new Float32Array()];
        const slope = work.take(`slope ${name}`, param.length).fill(0);
        if (grad) for (let i = 0; i < grad.length; i++) slope[i] = grad[i] + weightDecay * param[i];
        return slope;
      };
      /** Directions by name, and how much shorter those of layers are made. */
      const directions = new Map<string, Float64Array>();
      let product = 0;
      for (const layer of layers) {
        const slopes = [layer.weight, ...(layer.bias === undefined ? [] : [layer.bias])].map(slopeOf);
        const before = slopes.map((slope) => slope.slice());
        await precondition(layer, slopes, work);
        slopes.forEach((along, part) => {
          directions.set(part === 0 ? layer.weight : String(layer.bias), along);
          for (let i = 0; i < along.length; i++) product += along[i] * before[part][i];
        });
      }
      // Below 0 it is by rounding alone.
      const length = learningRate ** 2 * Math.max(product, 0);
      const bound = klClip === 0 ? 1 : Math.min(1, Math.sqrt(klClip / length));
      for (const [name, grad] of grads) {
        const param = parameterFor(params, name, grad);
        const known = directions.get(name);
        const [along, scale] = known ? [known, bound] : [slopeOf(name), 1];
        const buffer = slotFor(state, 'momentum_buffer', name, param.length);
        for (let i = 0; i < param.length; i++) {
          const m = Math.fround(momentum * buffer[i] + scale * along[i]);
          buffer[i] = m;
          param[i] -= learningRate * m;
        }
      }
    },
  };
}

/** One side of a layer: the mean of its factor so far, and the inverse; of a diagonal that alone. */
interface Side {
  readonly size: number;
  readonly isWhole: boolean;
  readonly factor: Float32Array;
  readonly inverse: Float32Array;
}

/** A layer as the state knows it. */
interface Layer {
  readonly weight: string;
  readonly bias?: string;
  readonly isTransposed: boolean;
  readonly inputs: Side;
  readonly outputs: Side;
}

const lengthOf = (side: number, isWhole: boolean) => (isWhole ? side * side : side);
const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/** Notes what a layer is made of: 1 or, stored as `[in, out]`, 2; and which of the parameters, from 1, is its bias, or 0. */
function join(state: OptimizerState, params: ParameterSet, { weight, bias, isTransposed }: LayerFactors): void {
  const place = bias === undefined ? 0 : 1 + [...params.keys()].indexOf(bias);
  slotFor(state, 'layer', weight, 2).set([isTransposed ? 2 : 1, place]);
}

/** What the state knows of the layer of a weight; none of a parameter that no factors were given for. */
function layerOf(state: OptimizerState, params: ParameterSet, weight: string, longest: number): Layer | undefined {
  const [kind, place] = slotFor(state, 'layer', weight, 2);
  if (kind === 0) return undefined;
  const isTransposed = kind === 2;
  const [rows, ...others] = shapeFor(state, weight, params.get(weight)?.length ?? 0);
  const side = (name: 'left' | 'right', own: number, isInput: boolean): Side => {
    const isWhole = own <= longest;
    const size = own + (isInput && place > 0 ? 1 : 0);
    const slot = (part: string) =>
      slotFor(state, `${name}_${part}`, weight, lengthOf(own + 1, isWhole)).subarray(0, lengthOf(size, isWhole));
    return { size, isWhole, factor: slot('factor'), inverse: slot('inverse') };
  };
  const [left, right] = [side('left', rows, isTransposed), side('right', sizeOf(others), !isTransposed)];
  return {
    ...{ weight, isTransposed },
    ...(place > 0 && { bias: [...params.keys()][place - 1] }),
    ...(isTransposed ? { inputs: left, outputs: right } : { inputs: right, outputs: left }),
  };
}

function average(mean: Float32Array, found: Float32Array, keep: number): void {
  for (let i = 0; i < mean.length; i++) mean[i] = keep * mean[i] + (1 - keep) * found[i];
}

/** Inverts both factors of a layer, damped. */
function invert({ inputs, outputs }: Layer, lambda: number): void {
  const [a, g] = [inputs, outputs].map((side) => trace(side) / side.size);
  // Of a factor that is 0 nothing can be told.
  const pi = a > 0 && g > 0 ? Math.sqrt(a / g) : 1;
  if (pi > 0 && Number.isFinite(a) && Number.isFinite(g)) {
    writeInverse(inputs, pi * Math.sqrt(lambda));
    writeInverse(outputs, Math.sqrt(lambda) / pi);
  } else {
    // Beyond all numbers: the run is to say so.
    for (const { inverse } of [inputs, outputs]) inverse.fill(Number.NaN);
  }
}

function trace({ size, isWhole, factor }: Side): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += factor[isWhole ? i * size + i : i];
  return sum;
}

/** `(factor + damping · I)⁻¹`. */
function writeInverse({ size, isWhole, factor, inverse }: Side, damping: number): void {
  if (!isWhole) {
    for (let i = 0; i < size; i++) inverse[i] = 1 / (factor[i] + damping);
    return;
  }
  if (size === 0) return;
  inverse.fill(Number.NaN);
  // Rounding to float32 can take a factor further below 0 than the damping lifts it.
  for (let added = damping; Number.isFinite(added); added *= 10) {
    const damped = Float64Array.from(factor);
    for (let i = 0; i < size; i++) damped[i * size + i] += added;
    try {
      inverse.set(choleskyInverse(cholesky(damped, size), size));
      return;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
}

/** Puts the slopes of a layer's weight and bias between its inverses, in place. */
async function precondition(
  { isTransposed, inputs, outputs }: Layer,
  slopes: readonly Float64Array[],
  work: Workspace,
): Promise<void> {
  const [weight, bias] = slopes;
  const [rows, columns] = [outputs.size, inputs.size];
  const own = bias ? columns - 1 : columns;
  const matrix = work.take('matrix', rows * columns);
  /** Where a value of the matrix `[out, in]` lies in the weight. */
  const at = (i: number, j: number) => (isTransposed ? j * rows + i : i * own + j);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < own; j++) matrix[i * columns + j] = weight[at(i, j)];
    if (bias) matrix[i * columns + own] = bias[i];
  }
  await multiplyByInverse(outputs, matrix, { rows, columns, isLeft: true }, work);
  await multiplyByInverse(inputs, matrix, { rows, columns, isLeft: false }, work);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < own; j++) weight[at(i, j)] = matrix[i * columns + j];
    if (bias) bias[i] = matrix[i * columns + own];
  }
}

/** Multiplies a matrix with the inverse of a side, in place. */
async function multiplyByInverse(
  { isWhole, inverse }: Side,
  matrix: Float64Array,
  { rows, columns, isLeft }: { rows: number; columns: number; isLeft: boolean },
  work: Workspace,
): Promise<void> {
  if (!isWhole) {
    for (let i = 0; i < matrix.length; i++) matrix[i] *= inverse[isLeft ? Math.floor(i / columns) : i % columns];
    return;
  }
  const product = work.take('product', matrix.length);
  const wide = work.take('inverse', inverse.length);
  wide.set(inverse);
  const [left, right] = isLeft ? [wide, matrix] : [matrix, wide];
  await multiply(left, right, { rows, inner: isLeft ? rows : columns, columns }, product);
  matrix.set(product);
}

/** Registry entry of {@link kfac}. */
export const kfacEntry: OptimizerEntry = {
  name: 'kfac',
  description: 'K-FAC: gradients between the inverses of the Kronecker factors of each layer',
  options: kfacOptions,
  search: {
    // From some rate on `klClip` alone decides.
    decades: [0, -1, -2, -3, 1, -4],
    // Of a few dozen steps from fresh weights: the momentum of directions of so few was worse at every bound. The inverse of a 512 × 512
    // matrix takes a tenth of a second; of one twice as long, eight times that.
    options: { factorPeriod: 5, momentum: 0, klClip: 1e-2, longest: 512 },
  },
  isJoint: true,
  create: kfac,
};
