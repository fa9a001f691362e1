import type { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import type { ProgramCache } from '../../engine/index.js';
import type { LockKnowledge } from '../../locks/index.js';
import type { ModelSpec, StateDict } from '../../models/index.js';
import type { Evaluator } from '../../training/index.js';
import type { SearchBudget, SearchResult, TrialLog } from '../search/search.js';
import type { SearchPoint } from '../search/space.js';
import type { StartFacts } from '../transforms/index.js';
import type { FineTuneOptimizer, FineTuneOptions } from '../trial/fine-tune.js';
import type { JudgeUtility } from '../trial/utility-after.js';
import type { PreparedWeights } from '../trial/work.js';

/** What the search of an attack is made of, whatever it trains. */
export interface SearchContext {
  /** Architecture and configuration of the model. */
  readonly model: ModelSpec;
  /**
   * Its weights by the trial's seed and the point of the search, all transforms applied, and what that took; they stay as they are.
   * The point must be named, also where there is none: without it transforms have their defaults, whatever the search chose.
   */
  readonly prepared: (seed: number, point: SearchPoint | undefined) => Promise<PreparedWeights>;
  /** What stands for these, with the defaults of what a search varies: seeds with the same have the same weights. */
  readonly weightsOf: (seed: number) => string;
  /** The model as it is released, with its own head, by the trial's seed: its weights, and what computes its outputs. */
  readonly released: (seed: number) => Promise<{ readonly weights: StateDict; readonly evaluator: Evaluator }>;
  /** What stands for those, likewise. */
  readonly releasedOf: (seed: number) => string;
  /** Judges the weights of a reported trial by the authorized task, by its seed and point; none where nobody asks. */
  readonly judge?: (seed: number, point: SearchPoint | undefined) => Promise<JudgeUtility>;
  /** Labelled examples of the unauthorized task, by the trial's seed. */
  readonly train: (seed: number) => Dataset;
  /** Optimizer and schedule of the search; the learning rate is what is searched. */
  readonly optimizer: FineTuneOptimizer;
  /** What all trials share: test examples, steps, batch size, and what is measured. */
  readonly shared: Pick<FineTuneOptions, 'test' | 'steps' | 'batchSize' | 'metric' | 'target' | 'continueAfterTarget'> &
    Pick<FineTuneOptions, 'giveUpBelow' | 'evaluationSpacing' | 'evaluateEvery'>;
  /** Learning rates and seeds. */
  readonly budget: SearchBudget;
  /** Compiled programs of the model. */
  readonly programs: ProgramCache;
  /** Measures the model. */
  readonly evaluator: Evaluator;
  /** Trials that were done before, and who hears of new ones. */
  readonly log: TrialLog;
}

/** What an attack trains, once it has its weights: all of them, some, factors beside them, or a classifier on what they give. */
export interface TrainedPart<Options = unknown> {
  /** Name in compositions. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** What it is called in a table: `fine-tuning`, `frozen use`. */
  readonly label: string;
  /** What it does, in a sentence below a table, where its name does not say it. */
  readonly explains?: string;
  /** Options with defaults: a strict object. */
  readonly options: z.ZodType<Options>;
  /** Whether the model itself learns. */
  readonly trains: boolean;
  /** Whether it uses the released model's outputs alone, which need none of its weights: then it belongs to the floor. Default false. */
  readonly outputsAlone?: boolean;
  /** What an attacker must know for it, beside that there is a lock; default nothing. */
  readonly knows?: string;
  /** The options of an attacker who knows this of the lock; undefined where it says nothing that this part could use. */
  learn?(knowledge: LockKnowledge): Options | undefined;
  /** Whether an optimizer's steps say what it costs; default true. Else its score alone is measured. */
  readonly countsSteps?: boolean;
  /** Which of the optimizers of a plan it can be searched with, maybe none; default all. */
  choose?<T extends FineTuneOptimizer>(optimizers: readonly T[]): readonly T[];
  /** Values of its options that a search chooses from where they are not given, the default first; default none. */
  searched?(start: StartFacts): Readonly<Record<string, readonly (number | string)[]>>;
  /** What it searches of a plan's learning rates and seeds; default all. */
  budget?(budget: SearchBudget): SearchBudget;
  /** Why it can train nothing of these weights, in words that follow its name; undefined where it can. Default: it can. */
  applies?(start: StartFacts, options: Options): string | undefined;
  /** What of the options has no effect on these weights, one sentence; default nothing. */
  unused?(start: StartFacts, options: Options): string | undefined;
  /**
   * Of a part that fits a classifier: numbers that this sees of each example, once for each view of them that is tried; default it fits
   * none. `model`: the one that is released.
   */
  sees?(model: ModelSpec, dataset: Dataset): readonly number[];
  /** The best learning rate of one optimizer, and the trials that measured it. */
  search(context: SearchContext, options: Options): Promise<SearchResult>;
}

/** A trained part with its options, as plain data that can be sent to another process. */
export interface TrainedStep {
  /** Name in the registry of trained parts. */
  readonly name: string;
  /** Options; what is left out takes its default. */
  readonly options?: Readonly<Record<string, unknown>>;
}
