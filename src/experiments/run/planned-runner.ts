import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttackTargets, AttackTask, SearchResult, Trial } from '../../attacks/index.js';
import {
  evaluationSteps,
  type RegressionSizes,
  regressionsOf,
  secondsOfRegression,
  trainedParts,
  trialCount,
} from '../../attacks/index.js';
import {
  type DataParts,
  type DataSpec,
  type Dataset,
  type LabelledDataset,
  loadData,
  subset,
} from '../../data/index.js';
import { programMemory, withPrograms } from '../../engine/index.js';
import { type LockMethod, lockMethods } from '../../locks/index.js';
import { cloneWeights, loadModel, type Model, parameterSet, saveModel, weightMatrices } from '../../models/index.js';
import { type Evaluation, taskOf } from '../../tasks/index.js';
import {
  chosenOptimizer,
  createObjective,
  createOptimizer,
  layoutsOf,
  runSteps,
  stepBytes,
} from '../../training/index.js';
import { type AttackJobResult, labelledTasks, rowsOf } from '../jobs/attack.js';
import type { AttackPlan } from '../jobs/attack-plan.js';
import { attackWork } from '../jobs/attack-work.js';
import { type TrainOptions, trainSteps } from '../jobs/train.js';
import type { UtilityChange } from '../utility.js';
import { type LockedInfo, type MadeModel, type Part, Runner, type TaskData, type TrainedInfo } from './runner.js';
import type { RunContext, RunSpec } from './spec.js';

/** A part of a run that was planned and not done. */
export interface PlannedPart {
  /** What it is: `train unlocked`, `attack cifar10`. */
  readonly name: string;
  /** Runs: 1, or the trials of an attack, at most. */
  readonly runs: number;
  /** Optimizer steps of all runs, at most. */
  readonly steps: number;
  /** Seconds, from the time that a few steps take here. */
  readonly seconds: number;
  /** Memory of one step at most, in all processes that compute them. */
  readonly bytes: number;
  /** What programs for texts of other lengths take beside, at most, as long as they are kept; 0 where there are none. */
  readonly keptBytes?: number;
}

/** What a run would do, taken down by all of its runners, and what they measured for it: a pace is measured once for all of them. */
export class Plan {
  /** In the order of the run. */
  readonly parts: PlannedPart[] = [];
  /** Seconds of a step or a regression, by what it is of. */
  readonly paces = new Map<string, number>();
  /** Examples, once for all searches on them. */
  readonly loaded = new Map<string, Promise<DataParts>>();
}

/** Examples that stand for a whole data set where something is measured only so that the plan goes on. */
const sample = 8;
/** Whole steps that are timed at most, and the milliseconds after which no more are. */
const timedSteps = 12;
const timedMs = 1500;
/** A learning rate that changes nothing. */
const tiny = 1e-12;
/** A forward pass beside a step. */
const forwardShare = 1 / 3;
/** What a lock's step takes more than a training step, in gradients: the original's outputs, and singular values. */
const lockShare = 0.5;

/**
 * Goes through the parts of a run without doing them: a model is what training would begin with, an attack finds nothing, and
 * what is measured is measured on a few examples. So whatever follows is planned by the same code that would do it.
 */
export class PlannedRunner extends Runner {
  /** @param plan - Takes what is planned. */
  constructor(
    spec: RunSpec,
    context: RunContext,
    private readonly plan: Plan,
  ) {
    super(spec, context);
  }

  override async train(
    part: Part,
    {
      from = () => this.start(),
      data,
      options,
    }: { from?: () => Promise<Model>; data: TaskData; options: TrainOptions },
  ): Promise<MadeModel<TrainedInfo>> {
    const model = await from();
    const steps = trainSteps(options, data.train);
    const optimizer = chosenOptimizer(options);
    const seconds = steps * (await this.#secondsAStep(model, data.train, options.batchSize, { optimizer }));
    const memory = memoryOfStep(model, data.train, options.batchSize);
    this.plan.parts.push({ name: `train ${part.name}`, runs: 1, steps, seconds, ...memory });
    return { ...(await this.#made(model)), info: { steps, evaluation: { n: 0, metrics: {} } } };
  }

  override async adopt(_part: Part, path: string, config?: Readonly<Record<string, unknown>>): Promise<MadeModel> {
    return this.#made(await loadModel(path, { config })).then((made) => ({ ...made, info: { path } }));
  }

  override async lock<Options>(
    part: Part,
    {
      from,
      data,
      method,
      options,
    }: { from?: Model; data?: TaskData; method: LockMethod<Options> | string; options: Options },
  ): Promise<MadeModel<LockedInfo>> {
    const chosen = typeof method === 'string' ? (lockMethods.get(method) as LockMethod<Options>) : method;
    const model = from ?? (await this.start());
    const steps = chosen.steps(options, data?.train.size ?? 0);
    const { batchSize, optimizer, morePrograms = 0 } = chosen.training?.(options) ?? { batchSize: 1 };
    const gradient = data ? await this.#secondsAStep(model, data.train, batchSize) : 0;
    const whole = data ? await this.#secondsAStep(model, data.train, batchSize, { optimizer }) : 0;
    const memory = data ? memoryOfStep(model, data.train, batchSize, 1 + morePrograms) : { bytes: 0 };
    const seconds = steps * (whole + gradient * (lockShare + (chosen.moreGradients?.(options) ?? 0)));
    this.plan.parts.push({ name: `lock ${part.name}`, runs: 1, steps, seconds, ...memory });
    const spectra = weightMatrices(model.weights).map(({ name }) => ({ name, before: [1], after: [1] }));
    const info = { steps, stepsTried: steps, stoppedByBudget: false, spectra, warnings: [] };
    return { ...(await this.#made(model)), info };
  }

  override async attack(targets: AttackTargets, plan: AttackPlan): Promise<AttackJobResult> {
    const { tasks, notes } = await labelledTasks(targets, plan);
    const results = new Map(tasks.map(({ task }) => [task.id, nothingFound(task)]));
    let [runs, steps, seconds, bytes, keptBytes] = [0, 0, 0, 0, 0];
    for (const { task } of tasks) {
      const trials = trialCount(task.budget);
      runs += trials;
      if (!trainedParts.get(task.trained?.name ?? 'all').trains) {
        seconds += await this.#secondsOfClassifiers(task);
        continue;
      }
      const work = attackWork(task);
      steps += work;
      const cost = await this.#costOfSearch(task, work, trials);
      seconds += cost.seconds;
      bytes = Math.max(bytes, cost.bytes);
      keptBytes = Math.max(keptBytes, cost.keptBytes);
    }
    const name = `attack ${plan.label ?? ''}`.trim();
    this.plan.parts.push({ name, runs, steps, seconds: seconds / this.#workers, bytes, keptBytes });
    for (const note of notes) this.notes.add(note);
    return { rows: rowsOf(tasks, results), notes, seconds: {} };
  }

  override evaluate(model: Model, dataset: Dataset): Promise<Evaluation> {
    return super.evaluate(model, few(dataset));
  }

  override utility(model: Model, locked: Model, dataset: Dataset, name: string): Promise<UtilityChange> {
    return super.utility(model, locked, few(dataset), name);
  }

  override async predict(model: Model, dataset: Dataset): Promise<Float32Array> {
    const some = few(dataset);
    const outputs = await super.predict(model, some);
    return new Float32Array((outputs.length / some.size) * dataset.size);
  }

  get #workers(): number {
    return Math.max(1, this.spec.workers ?? 1);
  }

  async #costOfSearch({ start, data, batchSize, steps, optimizer, ...task }: AttackTask, work: number, runs: number) {
    const { train, test } = await this.#load(data);
    const path = start.kind === 'model' ? start.path : start.like;
    const model = await loadModel(path, { config: start.config, head: start.head });
    const step = await this.#secondsAStep(model, train, batchSize, { threads: 1 });
    const whole = await this.#secondsAStep(model, train, batchSize, { threads: 1, optimizer });
    const measured = evaluationSteps(steps, task.evaluationSpacing, task.evaluateEvery).length + 1;
    // With the attacker's head, and with the one that the model had.
    const judged =
      task.authorized && start.kind === 'model'
        ? 2 * task.budget.seeds.length * (await this.#load(task.authorized)).test.size
        : 0;
    const outputs = runs * measured * test.size + judged;
    const seconds = work * whole + (outputs * step * forwardShare) / batchSize;
    return { seconds, ...memoryOfStep(model, train, batchSize, this.#workers) };
  }

  /** Of an attack that fits a classifier to what a model gives: once for all seeds with the same weights and examples. */
  async #secondsOfClassifiers({ start, data, batchSize, perClass, trained, budget }: AttackTask): Promise<number> {
    const { train, test } = await this.#load(data);
    const path = start.kind === 'model' ? start.path : start.like;
    const attacked = await loadModel(path, { config: start.config, head: start.head });
    const seeds = new Set([...budget.searchSeeds, ...budget.seeds]).size;
    const draws = start.kind === 'model' && perClass === undefined ? 1 + (start.draws?.length ?? 0) : seeds;
    const answers = taskOf(attacked).answers?.(test)?.count ?? 1;
    const size = Math.min(train.size, (perClass ?? Number.POSITIVE_INFINITY) * answers);
    const released = await loadModel(path, { config: start.config });
    const views = trainedParts.get(trained?.name ?? 'all').sees?.(released, train) ?? [];
    const step = await this.#secondsAStep(attacked, train, batchSize, { threads: 1 });
    let seconds = (views.length * (size + test.size) * step * forwardShare) / batchSize;
    for (const { fits, width } of regressionsOf(views)) {
      seconds += fits * (await this.#secondsAFit({ size, width, answers }));
    }
    return seconds * Math.min(draws, seeds);
  }

  /** Seconds of one regression, measured once for each size of it. */
  async #secondsAFit(sizes: RegressionSizes): Promise<number> {
    const key = JSON.stringify(sizes);
    const known =
      this.plan.paces.get(key) ??
      (await withPrograms({ ...this.spec.engine, threads: 1 }, (programs) => secondsOfRegression(sizes, programs)));
    this.plan.paces.set(key, known);
    return known;
  }

  /** Examples, once for all searches on them. */
  #load(spec: DataSpec): Promise<DataParts> {
    const key = JSON.stringify(spec);
    const known = this.plan.loaded.get(key) ?? loadData(spec);
    this.plan.loaded.set(key, known);
    return known;
  }

  /**
   * Seconds of a step, measured once for each model, batch size, optimizer and number of threads: of the gradient alone, or with an
   * optimizer the mean of some whole steps, since not every one of them does the same.
   */
  async #secondsAStep(
    model: Model,
    train: Dataset,
    batchSize: number,
    {
      threads = this.spec.engine.threads,
      optimizer,
    }: { threads?: number; optimizer?: Parameters<typeof createOptimizer>[0] } = {},
  ): Promise<number> {
    const key = JSON.stringify([model.digest, train.name, batchSize, threads, optimizer?.name, optimizer?.options]);
    const known = this.plan.paces.get(key);
    if (known !== undefined) return known;
    const engine = { ...this.spec.engine, threads };
    const params = parameterSet(cloneWeights(model.weights));
    // Where there is nothing to train towards, a lock keeps the outputs.
    const kept = { loss: { task: 0, divergence: 1 }, reference: { weights: parameterSet(model.weights) } };
    const objective = await createObjective({
      ...{ model, dataset: train, batchSize, seed: this.spec.seed, engine },
      ...(!taskOf(model).loss && kept),
    });
    const times: number[] = [];
    if (optimizer) {
      await runSteps({
        ...{ params, shapes: objective.shapes, compute: (...asked) => objective.compute(...asked) },
        optimizer: createOptimizer(optimizer, objective.shapes),
        learningRate: tiny,
        steps: timedSteps,
        afterStep: () => {
          times.push(performance.now());
          return times[times.length - 1] - times[0] > timedMs ? 'stop' : undefined;
        },
        onDiverged: () => 'stop',
      });
    } else {
      await objective.compute(params, 0);
      times.push(performance.now());
      await objective.compute(params, 0);
      times.push(performance.now());
    }
    await objective.release();
    // Weights that diverge at once have no whole steps.
    if (times.length < 2) return this.#secondsAStep(model, train, batchSize, { threads });
    const seconds = (times[times.length - 1] - times[0]) / 1000 / (times.length - 1);
    this.plan.paces.set(key, seconds);
    return seconds;
  }

  async #made(model: Model): Promise<{ path: string; model: Model }> {
    const path = join(await mkdtemp(join(this.context.folder.path, 'planned-')), 'model');
    await saveModel(path, model);
    return { path, model: await loadModel(path) };
  }
}

/** What a search would find that finds nothing, with as many trials as it has at most. */
function nothingFound({ budget, steps }: AttackTask): SearchResult {
  const { decades, refine = true, searchSeeds, seeds } = budget;
  const trial = (learningRate: number, seed: number): Trial => ({
    learningRate,
    seed,
    curve: [0, steps].map((step) => ({ step, score: 0 })),
    metrics: {},
    score: 0,
    evaluations: steps,
    end: 'budget',
  });
  const learningRate = 10 ** decades[0];
  const isSearched = decades.length > 1 || refine;
  const rates = isSearched ? decades.map((decade) => 10 ** decade) : [];
  return {
    search: rates.flatMap((rate) => searchSeeds.map((seed) => trial(rate, seed))),
    learningRate,
    trials: seeds.map((seed) => trial(learningRate, seed)),
  };
}

/** Memory of so many programs of a step on the longest examples, and of as many for each other length, of which no more is kept than fits. */
function memoryOfStep(model: Model, train: Dataset, batchSize: number, programs = 1) {
  const [longest, ...others] = layoutsOf(train).map(
    (layout) => programs * stepBytes(model, Math.min(batchSize, train.size), { layout }),
  );
  return {
    bytes: longest,
    keptBytes: Math.min(
      others.reduce((sum, bytes) => sum + bytes, 0),
      programMemory({}),
    ),
  };
}

function few(dataset: Dataset): Dataset {
  const positions = [...Array(Math.min(sample, dataset.size)).keys()];
  return 'labels' in dataset ? subset(dataset as LabelledDataset, positions) : subset(dataset, positions);
}
