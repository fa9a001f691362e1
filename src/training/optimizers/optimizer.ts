import type { z } from 'zod';
import type { FloatArray } from '../../graph/index.js';
import { InputError } from '../../registry/index.js';

/** Values by parameter name: the parameters themselves, or their gradients; float32 but where curvature is measured in float64. */
export type ParameterSet<Values extends FloatArray = Float32Array> = ReadonlyMap<string, Values>;

/** Shapes by parameter name. */
export type ParameterShapes = ReadonlyMap<string, readonly number[]>;

/**
 * What can be asked of the loss beside its gradient, always for the batch of the step and for the parameters as they are
 * when it is asked. Arrays that come back belong to the oracle: its next answer writes over them.
 */
export interface StepOracle {
  /** Loss of the batch before the update. */
  readonly loss: number;
  /**
   * What the step has cost so far in evaluations of the gradient, the one that the update was given included. A product
   * with a matrix of second derivatives counts as two.
   */
  readonly evaluations: number;
  /** Loss once more, after the parameters were moved, without gradients: a third of an evaluation. */
  lossAlone(): Promise<number>;
  /** Loss and gradients once more, after the parameters were moved. The gradients given to `update` are written over. */
  evaluate(): Promise<{ readonly loss: number; readonly gradients: ParameterSet }>;
  /** `H v`, H the matrix of second derivatives of the loss; zeros where a parameter has no second derivative. */
  hessianProduct(v: ParameterSet): Promise<ParameterSet>;
  /** `Jᵀ H_L J v`, J the derivatives of the logits and H_L the second derivatives of the loss by the logits (Gauss-Newton). */
  gaussNewtonProduct(v: ParameterSet): Promise<ParameterSet>;
  /**
   * Factors of the layers whose inputs and outputs are known: linear layers and convolutions without groups, always the same and in
   * the same order.
   *
   * @throws InputError where answers are to be drawn and the model predicts no distribution.
   */
  kroneckerFactors(question: FactorQuestion): Promise<readonly LayerFactors[]>;
}

/** How {@link StepOracle.kroneckerFactors} are taken. */
export interface FactorQuestion {
  /** Of gradients at answers that are drawn from what the model predicts (the Fisher matrix), or at those of the batch (the empirical one). */
  readonly labels: 'drawn' | 'given';
  /** Decides what is drawn. */
  readonly seed: number;
  /** Longest side of a matrix with a whole factor; of a longer one the diagonal is given. */
  readonly longest: number;
}

/**
 * The two factors of a layer `y = W x + b`, whose Kronecker product stands for its part of the Fisher matrix. A convolution reads at
 * each place what its window meets, a layer over tokens each token.
 */
export interface LayerFactors {
  /** Name of W. */
  readonly weight: string;
  /** Name of b; none where there is none that is used by this layer alone. */
  readonly bias?: string;
  /** Whether W is stored as `[in, out]`, and not as `[out, in, ...]`. */
  readonly isTransposed: boolean;
  /** Mean over the examples of the sum over places of `x xᵀ`, `[in, in]`; with a bias x has a last element 1 more. The diagonal alone where `in` is too long. */
  readonly inputs: Float32Array;
  /** Mean over examples and places of `g gᵀ`, g the gradient of an example's loss by y, `[out, out]`. */
  readonly outputs: Float32Array;
}

/** A question that an optimizer asks of the {@link StepOracle}. */
export type OracleNeed = 'lossAlone' | 'evaluate' | 'hessianProduct' | 'gaussNewtonProduct' | 'kroneckerFactors';

/** What an optimizer remembers between steps: plain data, so that a copy of it resumes the run bit for bit. */
export interface OptimizerState {
  /** Updates done so far. */
  step: number;
  /**
   * Slot name -> parameter name -> values. Slots are named as in PyTorch (`exp_avg`, `momentum_buffer`, ...) and, where
   * the optimizer says nothing else, as long as their parameter; `step` has one element, the number of gradients that
   * this parameter has had.
   */
  slots: Record<string, Map<string, Float32Array>>;
  /** Numbers that belong to no single parameter, all finite; none for most optimizers. */
  scalars?: Record<string, number>;
}

/** Moves parameters along their gradients, in place. */
export interface Optimizer {
  /** Its name in the registry. */
  readonly name: string;
  /** What it asks of the loss beside the gradient; none for those that need the gradient alone. */
  readonly needs?: readonly OracleNeed[];
  /** Whether it does without gradients: those that `update` is given may be zeros, and only say what is trained. */
  readonly isGradientFree?: true;
  /**
   * What a step leaves, as a factor, of a value with a gradient of 0 whose slots are as they began; undefined where it does
   * something else. Only optimizers have it that move each value by its own gradient and slots alone.
   *
   * @param parameter - Name of the parameter that the value is of.
   */
  idleFactor?(parameter: string, learningRate: number): number | undefined;
  /**
   * A fresh state with slots for these parameters.
   *
   * @param shapes - Shapes of the parameters, for optimizers that look at matrices as matrices.
   * @throws InputError when shapes are needed and one is missing or does not fit.
   */
  init(params: ParameterSet, shapes?: ParameterShapes): OptimizerState;
  /**
   * Moves the parameters to where the gradient of the next step is taken, for optimizers that take it elsewhere than at the
   * weights that are meant to be used; `update` moves them back and on. Called before the gradient is computed.
   */
  prepare?(state: OptimizerState, params: ParameterSet): void;
  /**
   * Does one step in place; allocates no arrays that live on. Computes in float64 and rounds once for each value it stores.
   *
   * @param grads - A parameter without an entry is left untouched, and so are its slots (PyTorch's `grad is None`).
   * @param state - From `init`, or a copy of it.
   * @param params - Updated in place.
   * @param learningRate - For this step, so that schedules stay outside.
   * @param oracle - Answers what the optimizer {@link needs}.
   * @returns A promise where it asks the oracle.
   * @throws InputError when the rate is no number from 0 up, grads, state and params do not belong together, or the
   * oracle is needed and missing.
   */
  update(
    grads: ParameterSet,
    state: OptimizerState,
    params: ParameterSet,
    learningRate: number,
    oracle?: StepOracle,
  ): Promise<void> | void;
}

/** A search over the learning rates of an optimizer. */
export interface OptimizerSearch {
  /** Exponents of ten, likely ones first: a trial stops when an earlier one beats it. */
  readonly decades: readonly number[];
  /** Options that differ from the optimizer's defaults. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** One row of the registry of optimizers. */
export interface OptimizerEntry {
  /** Name on the command line and in files. */
  readonly name: string;
  /** One line for the help text. */
  readonly description: string;
  /** Strict schema of the options; its defaults are those of the implementation that it follows. */
  readonly options: z.ZodObject;
  /** What an attacker who searches its learning rate tries. */
  readonly search: OptimizerSearch;
  /** Whether what one parameter does depends on the others, so that parameters cannot have learning rates of their own. */
  readonly isJoint?: true;
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

/** The oracle that an optimizer cannot do without. */
export function requireOracle(oracle: StepOracle | undefined, optimizer: string): StepOracle {
  if (oracle) return oracle;
  throw new InputError(`${optimizer}: expected a loss that can be asked for more than its gradient, found none`);
}
