import type { AttackTargets } from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import type { Task } from '../../tasks/index.js';
import type { AttackedModel } from '../attacked.js';
import type { AttackOptions } from '../jobs/attack-options.js';
import type { AttackPlan } from '../jobs/attack-plan.js';
import type { LockedInfo } from '../run/index.js';

/** A lock that a sweep makes, in several draws. */
export interface SweepLock {
  /** Name in the plan. */
  readonly name: string;
  /** The model that is locked: its directory. */
  readonly from: string;
  /** Configuration, for a directory without `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Names of the methods; several are stages one after the other. */
  readonly methods: readonly string[];
  /** Options of the method; of stages by their name. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Seeds of the draws. */
  readonly seeds: readonly number[];
  /** Whether the sham lock is made with each seed too, and attacked beside it. */
  readonly sham: boolean;
  /** The authorized task; none for a method that needs no data. */
  readonly data?: DataSpec;
  /** Tasks that an attacker may be after, for a method that needs them. */
  readonly adversary?: readonly DataSpec[];
  /** Name of the authorized task, where it is not that of the model's head. */
  readonly task?: string;
}

/** A model, how it is locked, and one plan of attacks: what one run of `weightlock attack` measures. */
export interface SweepCell {
  /** Name in tables, unique in the sweep. */
  readonly name: string;
  /** Name of the model. */
  readonly model: string;
  /** The lock; none: the model is attacked as it was released. */
  readonly lock?: SweepLock;
  /** Name of the attacks. */
  readonly attacks: string;
  /** What is attacked; of a lock that is yet to be made `locked` is the model before it. */
  readonly targets: AttackTargets;
  /** The attacks. */
  readonly plan: AttackPlan;
  /** The options that the plan is of, for reports. */
  readonly options: AttackOptions;
  /** What the attacker wants of the data. */
  readonly task: Task;
  /** What the lock took its owner in floating-point operations, of one that was made before and says so. */
  readonly lockFlops?: number;
}

/** What was found of a {@link SweepCell}. */
export interface SweptCell {
  /** Name in tables. */
  readonly name: string;
  /** Name of the model. */
  readonly model: string;
  /** Name of the lock; none: the model as it was released. */
  readonly lock?: string;
  /** Name of the attacks. */
  readonly attacks: string;
  /** Options of the attacks. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Draws of the lock; none where it was made before. */
  readonly locks?: readonly LockedInfo[];
  /** What the attacks found. */
  readonly attacked?: AttackedModel;
  /** Why nothing was measured. */
  readonly failure?: string;
}

/** What a sweep found. */
export interface SweepResult {
  /** In the order of the plan. */
  readonly cells: readonly SweptCell[];
  /** Jobs that failed, and why. */
  readonly failed: readonly { readonly job: string; readonly message: string }[];
}
