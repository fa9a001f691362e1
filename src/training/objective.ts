import { type BatchOrder, batchOrder, type Dataset, gatherBatch, layoutAt } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { RandomStream } from '../linalg/index.js';
import type { ModelSpec } from '../models/index.js';
import { batchSpecs, feedsOf } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type TargetReader, type Task, taskOf } from '../tasks/index.js';
import { CompiledStep } from './compiled-step.js';
import { type BatchFactors, BatchOracle } from './curvature.js';
import { Evaluator } from './evaluate.js';
import { LossGraphs } from './loss-graphs.js';
import type { ParameterSet, ParameterShapes, StepOracle } from './optimizers/index.js';
import type { Reference } from './original.js';
import { type BatchPart, ParameterSums, PartsOracle } from './parts-oracle.js';
import { ReferenceReader, requireReference, topOf } from './reference.js';
import { type NamedRows, rowGradients } from './row-tables.js';

/** Loss and gradients of one step. The arrays belong to the objective: the next step writes over them. */
export interface StepResult {
  /** Mean loss of the batch. */
  readonly loss: number;
  /** Gradient of every trained parameter; of a table by rows that of the rows that the batch names, one behind the other. */
  readonly gradients: ParameterSet;
  /** Answers further questions about the same batch, until the next step is computed; none where only the gradient is known. */
  readonly oracle?: StepOracle;
  /** Tokens of the batch, padding apart; undefined where examples have no length. */
  readonly tokens?: number;
}

/** How a step is computed. */
export interface StepQuestion {
  /** Leaves gradients out, for optimizers that need none: those that come back are zeros. Default false. */
  readonly withoutGradients?: boolean;
}

/** What training descends: loss and gradients at given parameters, for the batch of a given step. */
export interface Objective {
  /** Steps after which every example was seen once. */
  readonly stepsPerEpoch: number;
  /** Shapes of the model's parameters, buffers and counters. */
  readonly shapes: ParameterShapes;
  /**
   * The rows that the batch of a step names, of tables whose other rows have a gradient of zero; undefined where all gradients
   * are whole.
   */
  readonly rows?: (step: number) => Promise<NamedRows>;
  /**
   * Computes one step; the same parameters and step give the same bits. What training tracks without a gradient (running
   * statistics, counts of steps) is moved on in `params`, in place.
   */
  compute(params: ParameterSet, step: number, question?: StepQuestion): Promise<StepResult>;
  /** Frees the compiled programs, unless they belong to a cache. */
  release(): Promise<void>;
}

/** Weights of the parts of a loss; a part with weight 0 is not computed. */
export interface LossWeights {
  /** The task's loss; default 1. */
  task?: number;
  /** Divergence from reference outputs (KL for a classifier); default 0. */
  divergence?: number;
}

/** Options of {@link createObjective}. */
export interface ObjectiveOptions {
  /** The model without its weights. */
  model: ModelSpec;
  /** What it is trained on; default the task of its head. */
  task?: Task;
  /** Training examples. */
  dataset: Dataset;
  /** Examples a step; at most the data set's size is used. */
  batchSize: number;
  /** Parts that a batch is computed in, one after the other, to hold less in memory; default 1. */
  accumulate?: number;
  /** Whether blocks are computed a second time for their gradients, to hold less in memory; default false. */
  recompute?: boolean;
  /**
   * Parameters of which the gradient of the rows that a batch names is enough, where they are large tables of embeddings that are
   * used for nothing else: for optimizers that move each value by itself, see {@link RowUpdates}. Default none.
   */
  byRows?: (name: string) => boolean;
  /** Decides shuffles and dropout. */
  seed: number;
  /** Parts of the loss; default the task's loss alone. */
  loss?: LossWeights;
  /** What the model whose behaviour is kept gives; needed for the divergence. */
  reference?: Reference;
  /** Threads and device. */
  engine?: EngineOptions;
  /** Shares compiled programs with other objectives of the same model, batch size and loss; `engine` is then the cache's. */
  programs?: ProgramCache;
}

/**
 * A model's loss on shuffled batches of a data set: `task · task's loss + divergence · divergence(reference, model)`.
 *
 * @throws InputError when the data set does not fit the model, or reference outputs are missing.
 */
export async function createObjective({
  model,
  task = taskOf(model),
  dataset: given,
  batchSize,
  accumulate = 1,
  recompute = false,
  byRows,
  seed,
  loss: { task: taskWeight = 1, divergence = 0 } = {},
  reference,
  engine,
  programs,
}: ObjectiveOptions): Promise<Objective> {
  task.requireFit(model, given);
  const dataset = task.view?.(given) ?? given;
  if (divergence !== 0) requireReference(dataset, reference);
  if (taskWeight !== 0 && !task.loss) {
    throw new InputError(
      `${task.name}: expected a task with something to train towards, such as classification; here outputs can only be kept, with a weight of 0 for the task`,
    );
  }
  if (taskWeight === 0 && divergence === 0) {
    throw new InputError('objective: expected a weight of the task or of the divergence other than 0');
  }
  const size = Math.min(batchSize, dataset.size);
  const cache = programs ?? new ProgramCache(engine);
  const weights = { task: taskWeight, divergence };
  const compared = divergence !== 0 ? reference : undefined;
  const form = { weights, recompute, top: topOf(compared) };
  const plain = new LossGraphs(model, task, form);
  const tables = byRows && plain.largeTables(plain.specs(dataset.examples.layout(dataset.indices), size), byRows);
  const loss = new LossGraphs(model, task, { ...form, byRows: tables });
  const objective = new BatchObjective(
    loss,
    dataset,
    { order: batchOrder(dataset, size, seed), parts: Math.min(accumulate, size) },
    cache,
    compared && new ReferenceReader(compared, dataset.size, new Evaluator(model, {}, { task, programs: cache })),
    programs ? undefined : () => cache.release(),
  );
  await objective.prepare();
  return objective;
}

/**
 * Refuses a data set that the model cannot take, or a batch with which it cannot be trained: ask before any work.
 *
 * @throws InputError saying what does not fit.
 */
export function requireTrainable(model: ModelSpec, dataset: Dataset, batchSize: number): void {
  taskOf(model).requireFit(model, dataset);
  const size = Math.min(batchSize, dataset.size);
  model.build(batchSpecs(dataset.examples.layout(dataset.indices), size), { training: true });
}

/** Most layouts of batches whose arrays an objective keeps. */
const keptLayouts = 16;

class BatchObjective implements Objective {
  readonly stepsPerEpoch: number;
  shapes: ParameterShapes = new Map();
  readonly order: BatchOrder;
  readonly #positions: Uint32Array;
  /** The positions of each part of a batch, in the same memory. */
  readonly #parts: readonly Uint32Array[];
  /** The rows that the batch of a step names. */
  #named: { readonly step: number; readonly rows: NamedRows } | undefined;
  /** Sums over the parts, where there are several. */
  readonly #sums = new ParameterSums();
  readonly #readTarget: TargetReader;
  readonly #compiled = new Map<string, CompiledStep>();

  constructor(
    readonly loss: LossGraphs,
    readonly dataset: Dataset,
    { order, parts }: { order: BatchOrder; parts: number },
    readonly cache: ProgramCache,
    readonly reference: ReferenceReader | undefined,
    readonly releaseAll: (() => Promise<void>) | undefined,
  ) {
    this.order = order;
    this.stepsPerEpoch = order.stepsPerEpoch;
    this.#positions = new Uint32Array(order.batchSize);
    const cut = (part: number) => Math.round((part * order.batchSize) / parts);
    this.#parts = Array.from({ length: parts }, (_, part) => this.#positions.subarray(cut(part), cut(part + 1)));
    this.#readTarget = loss.task.targetReader(dataset);
  }

  get rows(): Objective['rows'] {
    return this.loss.form.byRows?.size ? (step) => this.#rows(step) : undefined;
  }

  async #rows(step: number): Promise<NamedRows> {
    if (this.#named?.step === step) return this.#named.rows;
    this.order.positions(step, this.#positions);
    const named = new Map<string, Set<number>>();
    for (const [index, positions] of this.#parts.entries()) {
      const compiled = this.#stepOf(positions);
      gatherBatch(this.dataset, positions, compiled, this.#augmentation(step * this.#parts.length + index));
      const feeds = feedsOf(compiled.batch, []);
      for (const { name, ids } of compiled.tables) {
        const rows = named.get(name) ?? new Set();
        for (const id of feeds[ids]) rows.add(Number(id));
        named.set(name, rows);
      }
    }
    const rows = new Map([...named].map(([name, ids]) => [name, Uint32Array.from(ids).sort()]));
    this.#named = { step, rows };
    return rows;
  }

  /** Compiles the program of the first batch. */
  async prepare(): Promise<void> {
    this.order.positions(0, this.#positions);
    await this.#stepOf(this.#parts[0]).compile();
  }

  async compute(params: ParameterSet, step: number, question: StepQuestion = {}): Promise<StepResult> {
    const named = await this.rows?.(step);
    this.order.positions(step, this.#positions);
    const tokens = this.#tokens();
    const isWhole = this.#parts.length === 1;
    let loss = 0;
    let counted = 0;
    let evaluations = 1;
    this.#sums.clear();
    for await (const { compiled, feeds, count, answering } of this.#eachPart(params, step)) {
      const found = question.withoutGradients ? await compiled.runForward(feeds) : await compiled.run(feeds);
      compiled.track(params, found.next);
      const byRows = named ? rowGradients(compiled.tables, { named, feeds, results: found.next }) : [];
      const gradients = named ? new Map([...found.gradients, ...byRows]) : found.gradients;
      const oracle = answering(found);
      if (isWhole) return { loss: found.loss, gradients, oracle, tokens };
      loss += count * found.loss;
      counted += count;
      evaluations = oracle.evaluations;
      this.#sums.add(gradients, count);
    }
    loss /= Math.max(counted, 1);
    const again = () => this.#answers(params, step);
    return { loss, gradients: this.#sums.mean(), oracle: new PartsOracle(loss, evaluations, again), tokens };
  }

  /** The parts of a step's batch again, for questions. */
  async *#answers(params: ParameterSet, step: number): AsyncGenerator<BatchPart> {
    for await (const { count, answering } of this.#eachPart(params, step)) {
      yield { count, oracle: answering({ loss: Number.NaN, cost: 0 }) };
    }
  }

  /** Lays out one part of a step's batch after the other, in the same arrays. */
  async *#eachPart(params: ParameterSet, step: number) {
    /** Examples of the parts before. */
    let first = 0;
    for (const [index, positions] of this.#parts.entries()) {
      const compiled = await this.#fill(positions, step * this.#parts.length + index);
      const feeds = feedsOf(compiled.batch, params);
      const again = { evaluate: () => compiled.run(feeds), lossAlone: () => compiled.runForward(feeds) };
      /** The number of targets that its loss is a mean over. */
      const count = this.loss.task.count?.(compiled.batch) ?? positions.length;
      const from = step * this.order.batchSize + first;
      const numbers = Array.from(positions.keys(), (row) => from + row);
      first += positions.length;
      const factors: BatchFactors = (question, fed) => compiled.factors(question, { feeds: fed, count, numbers });
      yield {
        compiled,
        feeds,
        count,
        answering: ({ loss, cost }: { loss: number; cost: number }) =>
          new BatchOracle({ loss, evaluations: cost }, feeds, again, compiled.curvature, factors),
      };
    }
  }

  /** Tokens of the step's batch. */
  #tokens(): number | undefined {
    const { examples, indices } = this.dataset;
    const { lengths } = examples;
    return lengths && this.#positions.reduce((sum, position) => sum + lengths[indices[position]], 0);
  }

  /** What decides how the examples of a part of a batch are augmented. */
  #augmentation(draw: number): RandomStream | undefined {
    return this.dataset.examples.augmented ? new RandomStream(this.order.seed, 'augmentation', draw) : undefined;
  }

  /**
   * Writes the examples at some positions, and all that goes with them, into the arrays of their layout.
   *
   * @param draw - Numbers what is drawn for them.
   */
  async #fill(positions: Uint32Array, draw: number): Promise<CompiledStep> {
    const compiled = this.#stepOf(positions);
    const { batch, layout, masks } = compiled;
    gatherBatch(this.dataset, positions, compiled, this.#augmentation(draw));
    positions.forEach((position, row) => {
      this.#readTarget(position, { batch, row, layout });
    });
    await this.reference?.read(positions, compiled);
    for (const { spec, values } of masks) {
      const stream = new RandomStream(this.order.seed, spec.name, draw);
      stream.fillBernoulli(values, spec.keepProbability, 1 / spec.keepProbability);
    }
    return compiled;
  }

  /** What the layout of some examples needs; a bounded number is kept, the longest unused go first. */
  #stepOf(positions: Uint32Array): CompiledStep {
    const layout = layoutAt(this.dataset, positions);
    const specs = this.loss.specs(layout, positions.length);
    const key = this.loss.key(specs);
    const known =
      this.#compiled.get(key) ??
      new CompiledStep(this.loss, {
        key,
        layout,
        specs,
        count: positions.length,
        cache: this.cache,
        reference: this.reference,
      });
    this.#compiled.delete(key);
    this.#compiled.set(key, known);
    this.shapes = known.shapes;
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > keptLayouts) this.#compiled.delete(oldest);
    return known;
  }

  async release(): Promise<void> {
    await this.releaseAll?.();
  }
}
