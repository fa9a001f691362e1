import type { z } from 'zod';
import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import type { ModelSpec, StateDict, WeightChange, WeightShapes } from '../models/index.js';
import type { Evaluation, Task } from '../tasks/index.js';
import type { OptimizerSpec, ParameterSet, PassWatch, Reference, RunOptions } from '../training/index.js';
import type { Draws } from './secret.js';
import type { UtilityBudget, UtilityCheck, UtilityGuard } from './utility-guard.js';

/** What a lock method works on, and what it may ask for; what it does not ask for is not made. */
export interface LockContext {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** The model's weights, changed in place. */
  readonly weights: StateDict;
  /** The values that a file will hold of the weights as they are now: rounded, where it stores 16 bits. */
  written(): ParameterSet;
  /** Decides shuffles and starting blocks: what may be known. */
  readonly seed: number;
  /**
   * Numbers that are drawn into the weights: who can guess them subtracts them. They are decided by a secret that no one is told, the
   * same for a run that goes on.
   */
  draws(): Promise<Draws>;
  /** Threads and device. */
  readonly engine?: EngineOptions;
  /**
   * Examples of the authorized task, for a retain loss.
   *
   * @throws InputError when none were given.
   */
  train(): Promise<Dataset>;
  /**
   * Examples of the authorized task that the lock is not trained on.
   *
   * @throws InputError when none were given.
   */
  validation(): Promise<Dataset>;
  /** Whether validation examples were given, so that {@link utility} can be measured. */
  readonly isJudged: boolean;
  /** Examples of what an attacker is after; undefined when none were given. */
  adversary(): Promise<Dataset | undefined>;
  /** Examples of all tasks that an attacker may be after, the one above first; none when none were given. */
  adversaries(): Promise<readonly Dataset[]>;
  /**
   * Measures what the lock costs, on the validation examples; `before` is measured on the weights as they are at the first
   * call.
   *
   * @throws InputError when no validation examples were given.
   */
  utility(): Promise<UtilityMeter>;
  /**
   * What the model said of examples before the lock's first stage: what a retain loss keeps it near to. Found once.
   *
   * @param topK - Of each token its so many most likely answers alone; default all.
   * @param dataset - Which examples; default the training examples.
   * @throws InputError when no training examples were given.
   */
  original(topK?: number, dataset?: Dataset): Promise<Reference>;
  /**
   * Passes over examples before a method's steps, or between them: whoever watches hears how far it is, and the signal ends it.
   *
   * @param what - What is done, for people: `second moments`.
   * @param total - Examples that it passes over, those of several passes together.
   * @throws InterruptedError after the signal.
   */
  pass<T>(what: string, total: number, act: (watch: PassWatch) => Promise<T>): Promise<T>;
  /**
   * Keeps the last weights within a budget.
   *
   * @param begin - Utility of the weights as they are now.
   */
  guard(budget: UtilityBudget, begin: Evaluation): UtilityGuard;
  /** Checkpoint file and steps between two writes. */
  readonly checkpoint?: { path: string; every: number };
  /** What the training loop calls at its start and before checkpoints. */
  readonly hooks?: Pick<RunOptions, 'onStart' | 'beforeCheckpoint'>;
  /** Ends the lock after the current step. */
  readonly signal?: AbortSignal;
  /** Hears of every step. */
  readonly onStep?: (report: LockStepReport) => void;
  /** Hears of every pass over examples beside the steps. */
  readonly onPass?: OnPass;
}

/** Hears of one pass over examples. */
export interface PassListener {
  /** So many more of them are done. */
  examples(count: number): void;
  /** It is over. */
  end(): void;
}

/** Hears that a pass over so many examples begins. */
export type OnPass = (what: string, total: number) => PassListener;

/** Measures the utility of a model that is being locked. */
export interface UtilityMeter {
  /** What the model is judged on: names of its metrics, and which of them is the score. */
  readonly task: Task;
  /** Utility before the lock, before its first stage where it has several. */
  readonly before: Evaluation;
  /** Utility of the weights that this method begins with: what the stage before it left, else {@link before}. */
  readonly begin: Evaluation;
  /** Utility of the weights as a file would hold them now. */
  measure(): Promise<Evaluation>;
  /** Measures a model of another architecture beside what the original says. */
  other(model: ModelSpec): Promise<(params: ParameterSet) => Promise<Evaluation>>;
}

/** A value of a step's report: a number, numbers by name, or a utility. */
export type LockReportValue = number | Readonly<Record<string, number>> | Evaluation;

/** What is known after a lock step: its number, and whatever else the method measures, as it stands in `metrics.jsonl`. */
export interface LockStepReport {
  /** Steps done. */
  readonly step: number;
  /** Tokens of its batch, padding apart; of texts. */
  readonly tokens?: number;
  /** What the method measured, by name. */
  readonly [measured: string]: LockReportValue | undefined;
}

/** How a lock ended; the weights are in the context's `weights`, or {@link rebuilt}. */
export interface LockResult {
  /** The locked model where it is of another architecture; none where its weights are the context's. */
  readonly rebuilt?: { readonly model: ModelSpec; readonly weights: StateDict };
  /** Step that the weights are of. */
  readonly steps: number;
  /** Steps computed, those outside the utility budget included. */
  readonly stepsTried: number;
  /** Whether the weights of its last check were outside the utility budget, so that earlier ones were kept. */
  readonly stoppedByBudget: boolean;
  /** What it was allowed to cost; none where it had no budget. */
  readonly budget?: UtilityBudget;
  /** Of a lock without any check within its budget, the check that missed it by least. */
  readonly nearest?: UtilityCheck;
  /** Utility before the lock, on the validation examples; none where it was not measured. */
  readonly before?: Evaluation;
  /** Utility of the weights as they will be written, on the validation examples; none where it was not measured. */
  readonly after?: Evaluation;
  /** What the method did that its options and the singular values do not say: plain data, for whoever checks a certificate. */
  readonly story?: LockStory;
}

/** Plain data by name. */
export interface LockStory {
  readonly [fact: string]: LockFact;
}

/** A value of a {@link LockStory}. */
export type LockFact = string | number | boolean | null | readonly LockFact[] | LockStory;

/**
 * What undoes a lock: a `symmetry` lock writes the same function otherwise, which canonicalizing takes back in seconds, or a fit of each
 * block where it makes another architecture; an
 * `off-manifold` lock changes what the authorized data hardly use, which clipping takes back; after `removal` what other tasks need
 * is no longer in the weights, and is got back by learning alone.
 */
export type LockClass = 'symmetry' | 'off-manifold' | 'removal';

/** What an attacker who read how a model was locked is taken to know of it; transforms of attacks take their options from it. */
export interface LockKnowledge {
  /** What share of each weight that the patterns choose is fresh numbers. */
  readonly mixed?: { readonly a: number; readonly include: readonly string[]; readonly exclude: readonly string[] };
  /** How many singular values of which matrices it raised. */
  readonly raised?: {
    /** Of each. */
    readonly topK: number;
    /** Names of the matrices, * stands for any characters; default all. */
    readonly include?: readonly string[];
    /** Names of those among them that it left alone; default none. */
    readonly exclude?: readonly string[];
    /** The matrices of which it raised so many; no names where it raised as many of all. */
    readonly lead: { readonly topK: number; readonly include: readonly string[] };
  };
}

/** What a lock does to weights, found from their shapes alone. */
export interface LockPlan {
  /** In this order. */
  readonly changes: readonly WeightChange[];
  /** As in {@link LockResult}. */
  readonly story: LockStory;
}

/** What the steps of a lock need memory for. */
export interface LockTraining {
  /** Examples of a step. */
  readonly batchSize: number;
  /** Parts that a batch is computed in; default one. */
  readonly accumulate?: number;
  /** Whether blocks are computed again for their gradients; default not. */
  readonly recompute?: boolean;
  /** Programs as large as its step's that it holds beside it, such as those of other losses; default none. */
  readonly morePrograms?: number;
  /** Whose state it keeps. */
  readonly optimizer: OptimizerSpec;
}

/** A lock method: an entry of the registry. */
export interface LockMethod<Options = unknown> {
  /** Name on the command line, also of the group of its options. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** What kind of lock it is, by what undoes it. */
  readonly class: LockClass;
  /** What undoes it, in words that follow "undone by". */
  readonly undoneBy: string;
  /** Options with defaults: a strict object. */
  readonly options: z.ZodObject & z.ZodType<Options>;
  /** Whether it gives a model of another architecture, with which no other stage can go on; default not. */
  readonly rebuilds?: boolean;
  /** Whether it needs examples of the authorized task. */
  readonly needsData: boolean;
  /** Whether it needs examples of tasks that an attacker may be after, or uses them where they are given; default it takes none. */
  readonly proxies?: 'required' | 'optional';
  /** Steps at most, for progress, with so many training examples; 0 of them where it needs none. */
  steps(options: Options, trainExamples: number): number;
  /** What its steps need memory for; none where it trains nothing. */
  training?(options: Options): LockTraining;
  /**
   * Gradients that a step computes beside that of its retain loss, each on a batch as large; default none. Plans count what it takes by
   * them.
   */
  moreGradients?(options: Options): number;
  /**
   * Names of the weights that it locks.
   *
   * @throws InputError when there are none.
   */
  locks(weights: WeightShapes, options: Options, model: ModelSpec): readonly string[];
  /**
   * What it does, of a method that needs neither data nor the whole model: where the former are not given, a model is locked by it on
   * the disk and never loaded. None of all others.
   *
   * @param draws - As the context's.
   * @throws InputError as {@link locks}.
   */
  plan?(model: ModelSpec & { readonly weights: WeightShapes }, options: Options, draws: Draws): LockPlan;
  /** Whether it draws numbers into the weights that must not be guessed; default not. */
  draws?(options: Options): boolean;
  /** What an adaptive attacker may know of a lock with these options; default nothing. */
  reveals?(options: Options): LockKnowledge;
  /** Options with which it does all but lock, the control beside every lock; none where nothing is left then. */
  sham?(options: Options): Options;
  /** What is worth a glance while it runs; default nothing but the step. */
  glance?(report: LockStepReport): string;
  /** Locks: changes `context.weights` in place. */
  run(context: LockContext, options: Options): Promise<LockResult>;
}
