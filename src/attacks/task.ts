import { type DataSpec, type Dataset, loadData } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { initializeModel, loadModel, type Model, type ModelSpec, type StateDict } from '../models/index.js';
import { Evaluator } from '../training/index.js';
import type { Trial } from './fine-tune.js';
import { frozenUse } from './frozen-use.js';
import { type SearchBudget, type SearchResult, searchLearningRate } from './search.js';
import { type TransformStep, transformWeights } from './transforms/index.js';

/** What an attack starts from: plain data, so that it can be sent to another process. */
export type Start =
  | {
      /** A released model. */
      readonly kind: 'model';
      /** Its model directory. */
      readonly path: string;
      /** Its configuration, where the directory has no `config.json`. */
      readonly config?: Readonly<Record<string, unknown>>;
      /** What is done to its weights first, in this order; default nothing. */
      readonly transforms?: readonly TransformStep[];
    }
  | {
      /** Random weights of the same architecture, drawn anew for each seed: training from scratch. */
      readonly kind: 'random';
      /** Model directory whose architecture is taken. */
      readonly like: string;
      /** The architecture's configuration, where the directory has no `config.json`. */
      readonly config?: Readonly<Record<string, unknown>>;
    };

/** One search of an attack: one starting point, one optimizer, all learning rates and seeds. Plain data. */
export interface AttackTask {
  /** Unique name within an attack run, also a file name. */
  readonly id: string;
  /** How the released weights are used: trained on, or left alone with a classifier on their outputs. */
  readonly use: 'fine-tune' | 'frozen';
  /** Starting point. */
  readonly start: Start;
  /** Optimizer; AdamW for frozen use. */
  readonly optimizer: { readonly name: string; readonly options?: Readonly<Record<string, unknown>> };
  /** Unauthorized task. */
  readonly data: DataSpec;
  /** Labelled examples of each class that the attacker has; default all training examples. */
  readonly perClass?: number;
  /** Optimizer steps at most. */
  readonly steps: number;
  /** Examples a step. */
  readonly batchSize: number;
  /** Name of the metric that is the score; default the task's. */
  readonly metric?: string;
  /** Score that counts as success; where given, the attack's cost is measured. */
  readonly target?: number;
  /** Whether runs go on after the target, so that they give cost and score; the search then looks at the score alone. */
  readonly continueAfterTarget?: boolean;
  /** Share of the way from guessing to perfect that a run must have come after 40 % of its budget; default 0.25, negative: none is given up. */
  readonly giveUpBelow?: number;
  /** Ratio of steps between two measurements of a run; default 1.15. */
  readonly evaluationSpacing?: number;
  /** Learning rates and seeds. */
  readonly budget: SearchBudget;
}

/** Runs attack tasks in this process and keeps what they share: data, models, compiled programs. */
export class AttackRunner {
  readonly #data = new Map<string, Promise<{ train: Dataset; test: Dataset }>>();
  readonly #models = new Map<string, Promise<Model>>();
  readonly #engines = new Map<string, { programs: ProgramCache; evaluator: Evaluator }>();

  /** @param engine - Device, and threads inside one operator: default 1, since several runners share the machine. */
  constructor(readonly engine: EngineOptions = {}) {}

  /** Runs one search. `onTrial` hears of every trial. */
  async run(task: AttackTask, onTrial?: (trial: Trial) => void): Promise<SearchResult> {
    const { train, test } = await this.#once(this.#data, JSON.stringify(task.data), () => loadData(task.data));
    const { start } = task;
    const path = start.kind === 'model' ? start.path : start.like;
    const model = await this.#once(this.#models, path, () => loadModel(path, { config: start.config }));
    const { programs, evaluator } = this.#engine(model);
    const { perClass, budget } = task;
    const { steps, batchSize, metric, target, continueAfterTarget, giveUpBelow, evaluationSpacing } = task;
    const run = {
      test,
      steps,
      batchSize,
      metric,
      target,
      continueAfterTarget,
      giveUpBelow,
      evaluationSpacing,
      evaluator,
    };
    const examples = (seed: number) => (perClass === undefined ? train : evaluator.task.fewShot(train, perClass, seed));
    const weights = startingWeights(start, model);
    if (task.use === 'frozen') {
      return frozenUse({ ...run, model, weights: weights(0), train: examples, budget, engine: this.engine }, onTrial);
    }
    return searchLearningRate(
      (seed) => ({
        ...run,
        model,
        weights: weights(seed),
        train: examples(seed),
        optimizer: task.optimizer,
        programs,
      }),
      budget,
      onTrial,
    );
  }

  /** Frees all compiled programs. */
  async release(): Promise<void> {
    for (const { programs, evaluator } of this.#engines.values()) {
      await programs.release();
      await evaluator.release();
    }
    this.#engines.clear();
  }

  #engine(model: ModelSpec): { programs: ProgramCache; evaluator: Evaluator } {
    const key = model.digest;
    const engine = { threads: 1, ...this.engine };
    const known = this.#engines.get(key) ?? {
      programs: new ProgramCache(engine),
      evaluator: new Evaluator(model, engine),
    };
    this.#engines.set(key, known);
    return known;
  }

  #once<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
    const known = cache.get(key) ?? make();
    cache.set(key, known);
    return known;
  }
}

/** The weights that a trial with a seed starts from. */
function startingWeights(start: Start, model: Model): (seed: number) => StateDict {
  const { architecture, config } = model;
  const fresh = (seed: number) =>
    initializeModel(architecture.name, config as Record<string, unknown>, randomStartSeed + seed).weights;
  if (start.kind === 'random') return fresh;
  return transformWeights(model, model.weights, start.transforms ?? [], fresh);
}

/** Apart from the seeds of released models, so that "from scratch" never repeats the released model's own start. */
const randomStartSeed = 1_000_000;
