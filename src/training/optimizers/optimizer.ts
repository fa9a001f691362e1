import type { z } from 'zod';
import { InputError } from '../../formats/index.js';

/** Values by parameter name: the parameters themselves, or their gradients. */
export type ParameterSet = ReadonlyMap<string, Float32Array>;

/** What an optimizer remembers between steps: plain data, so that a copy of it resumes the run bit for bit. */
export interface OptimizerState {
  /** Updates done so far. */
  step: number;
  /**
   * Slot name -> parameter name -> values. Slots are named as in PyTorch (`exp_avg`, `momentum_buffer`, ...) and as
   * long as their parameter; `step` alone has one element, the number of gradients that this parameter has had.
   */
  slots: Record<string, Map<string, Float32Array>>;
}

/** Moves parameters along their gradients, in place. */
export interface Optimizer {
  /** Its name in the registry. */
  readonly name: string;
  /** A fresh state with slots for these parameters. */
  init(params: ParameterSet): OptimizerState;
  /**
   * Does one step in place; allocates no arrays. Computes in float64 and rounds once for each value it stores.
   *
   * @param grads - A parameter without an entry is left untouched, and so are its slots (PyTorch's `grad is None`).
   * @param state - From `init`, or a copy of it.
   * @param params - Updated in place.
   * @param learningRate - For this step, so that schedules stay outside.
   * @throws InputError when the rate is no number from 0 up, or grads, state and params do not belong together.
   */
  update(grads: ParameterSet, state: OptimizerState, params: ParameterSet, learningRate: number): void;
}

/** One row of the registry of optimizers. */
export interface OptimizerEntry {
  /** Name on the command line and in files. */
  readonly name: string;
  /** One line for the help text. */
  readonly description: string;
  /** Strict schema of the options; its defaults are PyTorch's. */
  readonly options: z.ZodObject;
  /**
   * Makes the optimizer.
   *
   * @throws InputError when the options do not fit the schema.
   */
  create(options?: Readonly<Record<string, unknown>>): Optimizer;
}

/** A slot with an array for each parameter, filled with one value. */
export function fullSlot(params: ParameterSet, value = 0): Map<string, Float32Array> {
  return new Map(Array.from(params, ([name, values]) => [name, new Float32Array(values.length).fill(value)]));
}

/** The slot that counts the gradients of each parameter. */
export function stepSlot(params: ParameterSet): Map<string, Float32Array> {
  return new Map(Array.from(params.keys(), (name) => [name, new Float32Array(1)]));
}

/** Counts the update, after a check of its learning rate. */
export function beginUpdate(state: OptimizerState, learningRate: number): void {
  if (!(learningRate >= 0 && learningRate < Number.POSITIVE_INFINITY)) {
    throw new InputError(`learningRate: expected a finite number from 0 up, found ${learningRate}`);
  }
  state.step += 1;
}

/** The parameter that a gradient belongs to. */
export function parameterFor(params: ParameterSet, name: string, grad: Float32Array): Float32Array {
  const param = params.get(name);
  if (!param) throw new InputError(`gradient ${name}: expected a parameter of this name, found none`);
  if (param.length !== grad.length) {
    throw new InputError(`gradient ${name}: expected ${param.length} values, found ${grad.length}`);
  }
  return param;
}

/** What a slot holds for a parameter, `length` values. */
export function slotFor(state: OptimizerState, slot: string, name: string, length: number): Float32Array {
  const values = state.slots[slot]?.get(name);
  if (values?.length !== length) {
    throw new InputError(
      `optimizer state ${slot} of ${name}: expected ${length} values, found ${values ? values.length : 'none'}`,
    );
  }
  return values;
}

/** Counts a gradient of this parameter and returns how many it has had, this one included. */
export function countGradient(state: OptimizerState, name: string): number {
  const count = slotFor(state, 'step', name, 1);
  count[0] += 1;
  return count[0];
}
