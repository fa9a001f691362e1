import { InputError } from '../registry/index.js';
import type { ParameterSet } from './optimizers/index.js';

/** Where and how a run left the range of numbers. */
export interface Divergence {
  /** The step, from 1. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Loss of the step's batch. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly learningRate: number;
  /** What is no longer finite, in words: `the loss is NaN`. */
  readonly what: string;
}

/** A run diverged: its loss, weights or evaluation are no longer finite numbers. The checkpoint before it is left as it is. */
export class DivergedError extends InputError {
  /** The step, from 1. */
  readonly step: number;
  /** Loss of the step's batch. */
  readonly loss: number;

  constructor({ step, steps, loss, learningRate, what }: Divergence) {
    const rate = Number(learningRate.toPrecision(3));
    super(`diverged at step ${step} of ${steps}: ${what}, with learning rate ${rate}; try a smaller one`);
    this.step = step;
    this.loss = loss;
  }
}

/** What is wrong with the weights, in words; `undefined` where all are finite. Takes a small share of any optimizer's update. */
export function describeDivergedWeights(params: ParameterSet): string | undefined {
  for (const [name, values] of params) {
    if (!isFiniteSum(values)) return `weights of ${name} are ${values.find((value) => !Number.isFinite(value))}`;
  }
  return undefined;
}

/** Whether all values are finite: NaN and infinities survive any sum, and float32 values cannot overflow a double's. */
function isFiniteSum(values: Float32Array): boolean {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  // Four sums, since in one alone each addition waits for the last.
  for (; i + 4 <= values.length; i += 4) {
    s0 += values[i];
    s1 += values[i + 1];
    s2 += values[i + 2];
    s3 += values[i + 3];
  }
  for (; i < values.length; i++) s0 += values[i];
  return Number.isFinite(s0 + s1 + (s2 + s3));
}
