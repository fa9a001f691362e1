import { z } from 'zod';
import { RandomStream } from '../../linalg/index.js';
import { type OptimizerState, type ParameterSet, requireOracle, type StepOracle, slotFor } from './optimizer.js';

/** Options that all PSGD optimizers have. */
export const psgdOptions = z.strictObject({
  criterion: z
    .enum(['newton', 'whitening'])
    .default('newton')
    .describe('what the preconditioner is fitted to: products with the Hessian (newton), or gradients (whitening)'),
  preconditionerRate: z.number().min(0).max(1).default(0.1).describe('learning rate of the preconditioner, normalized'),
  initialScale: z
    .number()
    .min(0)
    .default(0)
    .describe('where Q starts, as a multiple of the identity; 0: fitted to the first probe'),
  updateProbability: z.number().min(0).max(1).default(1).describe('share of the steps at which Q is fitted'),
  momentum: z.number().min(0).lt(1).default(0).describe('share of the running mean of the gradient that is kept'),
  maxNorm: z.number().min(0).default(0).describe('longest preconditioned gradient; a longer one is cut; 0: no limit'),
  seed: z.int().default(0).describe('decides the random probes'),
});

/** Parsed {@link psgdOptions}. */
export type PsgdOptions = z.output<typeof psgdOptions>;

/** The smallest normal float32: keeps a denominator from being 0, as the reference does. */
export const smallestNormal = 2 ** -126;

/** What Q is fitted to: random normal v, and `h = H v`, or the gradient for whitening. By parameter name. */
export interface Probe {
  readonly v: ParameterSet;
  readonly h: ParameterSet;
}

/**
 * Draws the probes of a run. The probe of a step depends on the seed, the parameter's name and the step alone, so a run
 * that resumes draws the same ones.
 */
export class ProbeSource {
  readonly #v = new Map<string, Float32Array>();

  /**
   * @param optimizer - Whose probes they are, for error messages.
   * @param options - Criterion, probability and seed count here.
   */
  constructor(
    readonly optimizer: string,
    readonly options: PsgdOptions,
  ) {}

  /**
   * The probe of a step (from 0).
   *
   * @param isNeeded - Whether Q has no scale without it.
   * @returns `undefined` where the coin leaves Q as it is.
   */
  async draw(
    step: number,
    grads: ParameterSet,
    { isNeeded, oracle }: { isNeeded: boolean; oracle: StepOracle | undefined },
  ): Promise<Probe | undefined> {
    const { criterion, updateProbability, seed } = this.options;
    const coin = updateProbability < 1 ? new RandomStream(seed, 'psgd update', step).uniform() : 0;
    if (!isNeeded && coin >= updateProbability) return undefined;
    for (const [name, { length }] of grads) {
      const v = this.#v.get(name) ?? new Float32Array(length);
      new RandomStream(seed, `psgd probe ${name}`, step).fillNormal(v, 0, 1);
      this.#v.set(name, v);
    }
    if (criterion === 'whitening') return { v: this.#v, h: grads };
    return { v: this.#v, h: await requireOracle(oracle, this.optimizer).hessianProduct(this.#v) };
  }
}

/** `(Σ v² / Σ h²)^¼`, with n for `Σ v²` when whitening; 1 where that is no positive number (h = 0). */
export function fittedScale(
  criterion: PsgdOptions['criterion'],
  pairs: Iterable<{ v: Float32Array; h: Float32Array }>,
): number {
  let above = 0;
  let below = 0;
  for (const { v, h } of pairs) {
    above += criterion === 'newton' ? sumOfSquares(v) : v.length;
    below += sumOfSquares(h);
  }
  const scale = (above / below) ** 0.25;
  return scale > 0 && scale < Number.POSITIVE_INFINITY ? scale : 1;
}

/** What the preconditioner is applied to: the gradient, or its running mean `m = momentum · m + (1 − momentum) · grad`. */
export function averaged(state: OptimizerState, name: string, grad: Float32Array, momentum: number): Float32Array {
  if (momentum === 0) return grad;
  const m = slotFor(state, 'exp_avg', name, grad.length);
  for (let i = 0; i < m.length; i++) m[i] = momentum * m[i] + (1 - momentum) * grad[i];
  return m;
}

/** The learning rate after the limit on the preconditioned gradient's length. */
export function limitedRate(learningRate: number, maxNorm: number, directions: Iterable<Float64Array>): number {
  if (maxNorm === 0) return learningRate;
  let squares = 0;
  for (const direction of directions) squares += sumOfSquares(direction);
  return learningRate * Math.min(maxNorm / (Math.sqrt(squares) + smallestNormal), 1);
}

/** `p = p − rate · direction`. */
export function descendAlong(param: Float32Array, direction: Float64Array, rate: number): void {
  for (let i = 0; i < param.length; i++) param[i] -= rate * direction[i];
}

function sumOfSquares(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}
