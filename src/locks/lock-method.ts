import type { z } from 'zod';
import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import type { Model } from '../models/index.js';
import type { Evaluation } from '../tasks/index.js';
import type { ParameterSet, RunOptions } from '../training/index.js';

/** What a lock method works on. */
export interface LockContext {
  /** The model; its weights are the starting point. */
  readonly model: Model;
  /** The model's values by name, changed in place. */
  readonly params: ParameterSet;
  /** Examples of the authorized task for the retain loss. */
  readonly train: Dataset;
  /** Examples of the authorized task that the lock is not trained on: its utility is measured on them. */
  readonly validation: Dataset;
  /**
   * The values that a file will hold of some parameters (rounded, where it stores 16 bits): utility is measured on these;
   * default the parameters themselves.
   */
  readonly written?: (params: ParameterSet) => ParameterSet;
  /** Decides shuffles and starting blocks. */
  readonly seed: number;
  /** Threads and device. */
  readonly engine?: EngineOptions;
  /** Checkpoint file and steps between two writes. */
  readonly checkpoint?: { path: string; every: number };
  /** What the training loop calls at its start and before checkpoints. */
  readonly hooks?: Pick<RunOptions, 'onStart' | 'beforeCheckpoint'>;
  /** Ends the lock after the current step. */
  readonly signal?: AbortSignal;
  /** Hears of every step. */
  readonly onStep?: (report: LockStepReport) => void;
}

/** What is known after a lock step. */
export interface LockStepReport {
  /** Steps done. */
  readonly step: number;
  /** Loss of the lock. */
  readonly loss: number;
  /** Retain loss alone. */
  readonly retainLoss: number;
  /** Mean of the raised singular values. */
  readonly meanSigma: number;
  /** Largest singular values by matrix, before the step's update. */
  readonly sigma: ReadonlyMap<string, Float64Array>;
  /** Utility, at the steps where it is measured. */
  readonly utility?: Evaluation;
}

/** What a lock may cost the model that it locks. */
export interface UtilityBudget {
  /** Lowest score on the validation examples, in the task's metric: accuracy of a classifier. */
  readonly floor: number;
  /** Largest divergence from the original's outputs, in the task's metric: mean KL in nats of a classifier; null: any. */
  readonly maxKl: number | null;
  /** Checks in a row outside the budget before the lock ends. */
  readonly patience: number;
}

/** How a lock ended; the weights are in the context's `params`. */
export interface LockResult {
  /** Step that the weights are of. */
  readonly steps: number;
  /** Steps computed, those outside the utility budget included. */
  readonly stepsTried: number;
  /** Whether the utility budget ended it. */
  readonly stoppedByBudget: boolean;
  /** What it was allowed to cost. */
  readonly budget: UtilityBudget;
  /** Utility before the lock, on the validation examples. */
  readonly before: Evaluation;
  /** Utility of the weights as they will be written, on the validation examples. */
  readonly after: Evaluation;
}

/** A lock method: an entry of the registry. */
export interface LockMethod<Options = unknown> {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Options with defaults. */
  readonly options: z.ZodType<Options>;
  /** Steps on these training examples at most, for progress. */
  steps(options: Options, train: Dataset): number;
  /** Locks: changes `context.params` in place. */
  run(context: LockContext, options: Options): Promise<LockResult>;
}
