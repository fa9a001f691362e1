import type { z } from 'zod';
import { type DataParts, type DataSpec, labelledAs, loadData } from '../../data/index.js';
import { type EngineOptions, ProgramCache, programMemory } from '../../engine/index.js';
import { weightlockVersion } from '../../formats/index.js';
import {
  type HeadNeed,
  initializeModel,
  loadModel,
  type Model,
  type ModelSpec,
  modelState,
  parameterSet,
  type StateDict,
} from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { Evaluator } from '../../training/index.js';
import type { KeyedBench } from '../preparation/bench.js';
import type { SearchBudget, SearchResult, TrialLog } from '../search/search.js';
import { partOptionsAt, type SearchPoint } from '../search/space.js';
import type { Start } from '../starts.js';
import { type TrainedStep, trainedParts } from '../trained/index.js';
import { type TransformStep, transforms } from '../transforms/index.js';
import { constantScore } from '../trial/constant-answer.js';
import type { FineTuneOptimizer } from '../trial/fine-tune.js';
import { authorizedScore, judgeUtility } from '../trial/utility-after.js';
import { modelDigest, modelsRead, TransformedWeights } from './transformed-weights.js';
import { WeightsStore } from './weights-store.js';

/**
 * One search of an attack: a composition of starting point, transforms, trained part, optimizer and schedule, and data, with
 * all learning rates and seeds. Plain data.
 */
export interface AttackTask {
  /** Unique name within an attack run, also a file name. */
  readonly id: string;
  /** Starting point. */
  readonly start: Start;
  /** What is done to its weights first, in this order; default nothing. */
  readonly transforms?: readonly TransformStep[];
  /** What is trained then; default all weights. */
  readonly trained?: TrainedStep;
  /** Optimizer and schedule; of frozen use what fits its classifier. */
  readonly optimizer: FineTuneOptimizer;
  /** Unauthorized task. */
  readonly data: DataSpec;
  /**
   * Harmless examples that are trained on in the place of the task's, in the classes of the task or in none; the score is measured on the
   * task all the same. Default the task's own.
   */
  readonly benign?: DataSpec;
  /** Labelled examples of each class that the attacker has; default all training examples. */
  readonly perClass?: number;
  /** Examples like those of the authorized task, for transforms that train on such; default the attacker has none. */
  readonly retain?: DataSpec;
  /** Examples whose labels are of no interest, for transforms that train on texts alone or towards the released model's outputs; default the attacker's own. */
  readonly unlabelled?: DataSpec;
  /** Examples of the authorized task: what is left of it in a reported trial is measured on those of its test; default it is not. */
  readonly authorized?: DataSpec;
  /** Optimizer steps at most, those that transforms take before a trial included. */
  readonly steps: number;
  /** Examples a step. */
  readonly batchSize: number;
  /** Name of the metric that is the score; default the task's. */
  readonly metric?: string;
  /** Score that counts as success; where given, the attack's cost is measured. */
  readonly target?: number;
  /** Whether runs go on after the target, so that they give cost and score; the search then looks at the score alone. */
  readonly continueAfterTarget?: boolean;
  /** Share of the way from guessing to perfect that a trial of a search must have come after 40 % of its budget; default 0.25, negative: none is given up. What is reported is run to its end. */
  readonly giveUpBelow?: number;
  /** Ratio of steps between two measurements of a run; default 1.15. */
  readonly evaluationSpacing?: number;
  /** Steps between two of its measurements at least; default 4. */
  readonly evaluateEvery?: number;
  /** Learning rates and seeds. */
  readonly budget: SearchBudget;
}

/** A model as the tasks of one process share it. */
interface LoadedModel {
  readonly model: Model;
  readonly digest: string;
}

/** Runs attack tasks in this process and keeps what they share: data, models, transformed weights, compiled programs. */
export class AttackRunner {
  readonly #data = new Map<string, Promise<DataParts>>();
  /** Authorized scores of released models. */
  readonly #utilities = new Map<string, Promise<number>>();
  readonly #models = new Map<string, Promise<LoadedModel>>();
  readonly #engines = new Map<string, { programs: ProgramCache; evaluator: Evaluator }>();
  readonly #transformed: TransformedWeights;

  /**
   * @param engine - Device, and threads inside one operator: default 1, since several runners share the machine.
   * @param store - Folder for weights that took training to make, so that an interrupted run need not make them again; default none.
   */
  constructor(
    readonly engine: EngineOptions = {},
    store?: string,
  ) {
    this.#transformed = new TransformedWeights(undefined, store === undefined ? undefined : new WeightsStore(store));
  }

  /**
   * Runs one search.
   *
   * @param log - Trials that were done before, and who hears of the others.
   */
  async run(task: AttackTask, log: TrialLog = {}): Promise<SearchResult> {
    const {
      start,
      transforms = [],
      trained = { name: 'all' },
      optimizer,
      perClass,
      budget,
      retain,
      benign,
      unlabelled,
    } = task;
    const parts = await this.#loadData(task.data);
    const { test } = parts;
    const train = benign ? labelledAs((await this.#loadData(benign)).train, parts.train) : parts.train;
    const path = start.kind === 'model' ? start.path : start.like;
    const paths = [path, ...((start.kind === 'model' && start.draws) || [])];
    const draws = await Promise.all(paths.map((one) => this.#load(one, start.config, start.head)));
    const [{ model: loaded, digest }] = draws;
    const model = rebuiltBy(transforms, loaded);
    for (const other of draws) {
      if (other.model.digest === loaded.digest) continue;
      throw new InputError(`${paths.join(', ')}: expected draws of one model, found different configurations`);
    }
    const ofSeed = (seed: number) => seed % paths.length;
    const released = async (seed: number) => {
      const own = start.head ? await this.#load(paths[ofSeed(seed)], start.config) : draws[ofSeed(seed)];
      return { weights: own.model.weights, evaluator: this.#engine(own.model).evaluator };
    };
    const fresh = (seed: number) =>
      initializeModel(model.architecture.name, model.config as Record<string, unknown>, randomStartSeed + seed).weights;
    const others = new Map<string, { weights: Model['weights']; digest: string }>();
    for (const other of modelsRead(transforms)) {
      const loaded = await this.#load(other, start.config);
      others.set(other, { weights: loaded.model.weights, digest: loaded.digest });
    }
    const part = trainedParts.get(trained.name);
    const engine = this.#engine(model);
    const examples = (seed: number) =>
      perClass === undefined ? train : engine.evaluator.task.fewShot(train, perClass, seed);
    const { device = 'cpu', threads, optimize = true } = { ...usualEngine, ...this.engine };
    const bench: KeyedBench = {
      // What is kept on disk outlives this process: other versions and engines compute other bits.
      key: JSON.stringify([
        ...[weightlockVersion(), device, threads, optimize],
        ...[task.data, perClass, retain, task.steps, task.batchSize, draws.map((each) => each.digest)],
        ...(benign ? [benign] : []),
        ...(unlabelled ? [{ unlabelled }] : []),
      ]),
      of: async (seed) => {
        const source = (await this.#load(paths[ofSeed(seed)], start.config)).model;
        const own = examples(seed);
        const kept = retain && (await this.#loadData(retain)).train;
        const texts = unlabelled && (await this.#loadData(unlabelled)).train;
        return {
          released: { model: source, weights: source.weights, ...this.#engine(source) },
          attacked: { model, ...engine },
          own,
          ...(kept && { retain: kept }),
          ...(texts && { unlabelled: texts }),
          ...(task.data.tokenizer !== undefined && { tokenizer: task.data.tokenizer }),
          steps: task.steps,
          // Of few examples a trial's batches are smaller, and its steps compute less.
          batchSize: Math.min(task.batchSize, own.size),
          signal: log.signal,
        };
      },
    };
    const shared = { model: loaded, fresh, others, bench };
    let begun: { readonly seed: number; readonly weights: StateDict } | undefined;
    const releasedOf = (seed: number) => `draw ${ofSeed(seed)}`;
    const isSeeded = start.kind === 'random' || transforms.some(({ name }) => isSeededTransform(name));
    const weightsOf = (seed: number) => (isSeeded ? `seed ${seed}` : releasedOf(seed));
    const prepared = (seed: number, point?: SearchPoint) => {
      const steps = transforms.map((step) => ({ ...step, options: partOptionsAt(step.name, step.options, point) }));
      if (start.kind === 'random') {
        // A search tries many rates with one seed.
        if (begun?.seed !== seed) begun = { seed, weights: fresh(seed) };
        const from = { ...shared, key: `${digest} ${seed}`, weights: begun.weights };
        return this.#transformed.get(from, steps, seed);
      }
      const drawn = draws[ofSeed(seed)];
      return this.#transformed.get({ ...shared, key: drawn.digest, weights: drawn.model.weights }, steps, seed);
    };
    const judged = task.authorized && start.kind === 'model' ? (await this.#loadData(task.authorized)).test : undefined;
    const judge =
      judged &&
      (async (seed: number, point?: SearchPoint) => {
        const own = (await this.#load(paths[ofSeed(seed)], start.config)).model;
        const key = JSON.stringify([paths[ofSeed(seed)], start.config, task.authorized]);
        // Asked for when a trial is over: its programs serve one run at a time.
        const before = () =>
          this.#once(this.#utilities, key, () =>
            authorizedScore(this.#engine(own).evaluator, parameterSet(own.weights), judged),
          );
        const { weights } = await prepared(seed, point);
        const target = withOwnHead(rebuiltBy(transforms, own), own.weights, weights);
        const { evaluator } = this.#engine(target);
        return judgeUtility(
          { released: target, evaluator, examples: judged, prepared: weights, hasOwnHead: start.head !== undefined },
          before,
        );
      });
    const { steps, batchSize, metric, target, continueAfterTarget, giveUpBelow, evaluationSpacing, evaluateEvery } =
      task;
    const found = await part.search(
      {
        model,
        prepared,
        weightsOf,
        released,
        releasedOf,
        judge,
        train: examples,
        optimizer,
        shared: {
          test,
          steps,
          batchSize,
          metric,
          target,
          continueAfterTarget,
          giveUpBelow,
          evaluationSpacing,
          evaluateEvery,
        },
        budget,
        ...engine,
        log,
      },
      parseOptions(part.options as z.ZodObject, trained.options ?? {}, trained.name),
    );
    const constant = constantScore(engine.evaluator.task, test, metric);
    return { ...found, ...(constant !== undefined && { constant }) };
  }

  /** Frees all compiled programs. */
  async release(): Promise<void> {
    for (const { programs, evaluator } of this.#engines.values()) {
      await programs.release();
      await evaluator.release();
    }
    this.#engines.clear();
  }

  #loadData(spec: DataSpec): Promise<DataParts> {
    return this.#once(this.#data, JSON.stringify(spec), () => loadData(spec));
  }

  #load(path: string, config: Start['config'], head?: HeadNeed): Promise<LoadedModel> {
    return this.#once(this.#models, JSON.stringify([path, config, head]), async () => {
      const model = await loadModel(path, { config, head });
      return { model, digest: modelDigest(model) };
    });
  }

  #engine(model: ModelSpec): { programs: ProgramCache; evaluator: Evaluator } {
    const key = model.digest;
    // Training and evaluation have a cache each.
    const engine = { ...usualEngine, ...this.engine, memory: programMemory(this.engine) / 2 };
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

/**
 * The architecture that transforms make of a model, which the first of them decides.
 *
 * @throws InputError where another changes it.
 */
function rebuiltBy(steps: readonly TransformStep[], model: ModelSpec): ModelSpec {
  const [first, ...others] = steps.map(({ name }) => transforms.get(name));
  const late = others.find(({ rebuilds }) => rebuilds);
  if (late)
    throw new InputError(`${late.name}: expected it before all other transforms, as it changes the architecture`);
  return first?.rebuilds?.(model) ?? model;
}

/** Whether a transform makes other weights for each seed. */
function isSeededTransform(name: string): boolean {
  return transforms.get(name).isSeeded === true;
}

/** The released model, with what an attack began with in the place of what it has no more. */
function withOwnHead(spec: ModelSpec, released: StateDict, prepared: StateDict): ModelSpec & { weights: StateDict } {
  const names = modelState(spec).map(({ name }) => name);
  const weights = new Map(
    names.flatMap((name) => {
      const weight = released.get(name) ?? prepared.get(name);
      return weight ? [[name, weight] as const] : [];
    }),
  );
  return { ...spec, weights };
}

/** Several runners share the machine. */
const usualEngine: EngineOptions = { threads: 1 };

/** Apart from the seeds of released models, so that "from scratch" never repeats the released model's own start. */
const randomStartSeed = 1_000_000;
