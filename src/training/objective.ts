import { allocateBatch, type BatchOrder, batchOrder, type Dataset, gatherBatch, layoutAt } from '../data/index.js';
import { type EngineOptions, type Feeds, type Program, ProgramCache, type Results } from '../engine/index.js';
import { mul, type Tensor, type TypedArray } from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import type { ModelSpec } from '../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs, feedsOf, type MaskSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type TargetReader, type Task, taskOf } from '../tasks/index.js';
import { type BatchFactors, BatchOracle, CurvaturePrograms } from './curvature.js';
import { Evaluator } from './evaluate.js';
import { FactorPrograms } from './kronecker.js';
import { type LossGraph, LossGraphs, targetsIn, withoutGradients } from './loss-graphs.js';
import type { FactorQuestion, ParameterSet, ParameterShapes, StepOracle } from './optimizers/index.js';
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

/** A layout of batches, with all that a step on such a batch needs. */
interface Prepared {
  /** The program; compiled again where the cache has let it go. */
  readonly program: () => Promise<Program>;
  /** The same without gradients. */
  readonly forward: () => Promise<Program>;
  readonly batch: Batch;
  /** Arrays of the batch that the examples give. */
  readonly specs: ArraySpecs;
  /** Arrays of one example of the batch. */
  readonly layout: ArraySpecs;
  readonly masks: readonly { spec: MaskSpec; values: Float32Array }[];
  readonly curvature: CurvaturePrograms;
  readonly factors: FactorPrograms;
  /** What the model gives for the batch, as training computes it. */
  readonly output: () => Promise<Program>;
  readonly loss: Pick<LossGraph, 'tables'> & {
    /** Parameters whose whole gradient is computed, and their sizes. */
    readonly trained: ReadonlyMap<string, number>;
    readonly buffers: readonly string[];
    readonly counters: readonly string[];
  };
  /** The gradients among the results of a program, which fills the same arrays at every run. */
  gradients?: { readonly of: Results; readonly values: ParameterSet };
  /** In the place of gradients that were not computed. */
  zeros?: ParameterSet;
}

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
  readonly #prepared = new Map<string, Promise<Prepared>>();

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
      const prepared = await this.#layoutOf(positions);
      gatherBatch(this.dataset, positions, prepared, this.#augmentation(step * this.#parts.length + index));
      const feeds = feedsOf(prepared.batch, []);
      for (const { name, ids } of prepared.loss.tables) {
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
    await (await this.#layoutOf(this.#parts[0])).program();
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
    for await (const { prepared, feeds, count, answering } of this.#eachPart(params, step)) {
      const found = question.withoutGradients ? await runForward(prepared, feeds) : await run(prepared, feeds);
      track(prepared, params, found.next);
      const byRows = named ? rowGradients(prepared.loss.tables, { named, feeds, results: found.next }) : [];
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
      const prepared = await this.#fill(positions, step * this.#parts.length + index);
      const feeds = feedsOf(prepared.batch, params);
      const again = { evaluate: () => run(prepared, feeds), lossAlone: () => runForward(prepared, feeds) };
      /** The number of targets that its loss is a mean over. */
      const count = this.loss.task.count?.(prepared.batch) ?? positions.length;
      const from = step * this.order.batchSize + first;
      const numbers = Array.from(positions.keys(), (row) => from + row);
      first += positions.length;
      const factors: BatchFactors = (question, fed) =>
        this.#factors(prepared, { question, feeds: fed, count, numbers });
      yield {
        prepared,
        feeds,
        count,
        answering: ({ loss, cost }: { loss: number; cost: number }) =>
          new BatchOracle({ loss, evaluations: cost }, feeds, again, prepared.curvature, factors),
      };
    }
  }

  /** Factors of the layers on a part of a batch, at its answers or at such as the model predicts; its examples have numbers of the run. */
  async #factors(
    { batch, factors, output }: Prepared,
    {
      question,
      feeds,
      count,
      numbers,
    }: { question: FactorQuestion; feeds: Feeds; count: number; numbers: readonly number[] },
  ): ReturnType<BatchFactors> {
    if (question.labels === 'given') {
      return { factors: await factors.factors(question, { feeds, count, weight: 1 }), cost: factorCost };
    }
    const { task, form } = this.loss;
    if (!task.drawTargets) {
      throw new InputError(
        `${task.name}: expected a model that predicts answers to draw them, found none; use those given`,
      );
    }
    const values = (await (await output()).run(feeds)).output as Float32Array;
    const streams = numbers.map((number) => new RandomStream(question.seed, 'answers', number));
    const answered = { ...feeds, ...feedsOf(task.drawTargets(values, batch, streams), []) };
    const weight = form.weights.task + form.weights.divergence;
    return {
      factors: await factors.factors(question, { feeds: answered, count, weight }),
      cost: forwardCost + factorCost,
    };
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
  async #fill(positions: Uint32Array, draw: number): Promise<Prepared> {
    const prepared = await this.#layoutOf(positions);
    const { batch, layout, masks } = prepared;
    gatherBatch(this.dataset, positions, prepared, this.#augmentation(draw));
    positions.forEach((position, row) => {
      this.#readTarget(position, { batch, row, layout });
    });
    await this.reference?.read(positions, prepared);
    for (const { spec, values } of masks) {
      const stream = new RandomStream(this.order.seed, spec.name, draw);
      stream.fillBernoulli(values, spec.keepProbability, 1 / spec.keepProbability);
    }
    return prepared;
  }

  /** What the layout of some examples needs; a bounded number is kept, the longest unused go first. */
  async #layoutOf(positions: Uint32Array): Promise<Prepared> {
    const layout = layoutAt(this.dataset, positions);
    const specs = this.loss.specs(layout, positions.length);
    const key = this.loss.key(specs);
    const known = this.#prepared.get(key) ?? this.#prepare(key, layout, specs, positions.length);
    this.#prepared.delete(key);
    this.#prepared.set(key, known);
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size > keptLayouts) this.#prepared.delete(oldest);
    return known;
  }

  async #prepare(key: string, layout: ArraySpecs, specs: ArraySpecs, size: number): Promise<Prepared> {
    const { scope, output, parameters, trained, tables } = this.loss.build(specs);
    this.shapes = new Map(scope.state.map(({ name, shape }) => [name, shape]));
    const { task, form } = this.loss;
    const curvature = new CurvaturePrograms(this.cache, key, () => ({
      ...this.loss.build(specs, { whole: true }),
      curvature: (found, u) =>
        scaled(task.curvature(found, u, targetsIn(found.graph, specs)), form.weights.task + form.weights.divergence),
    }));
    const masks = scope.masks.map((spec) => ({
      spec,
      values: new Float32Array(spec.shape.reduce((product, length) => product * length, 1)),
    }));
    const more: Record<string, TypedArray> = Object.fromEntries(masks.map(({ spec, values }) => [spec.name, values]));
    return {
      program: () => this.cache.get(key, () => this.loss.build(specs).outputs),
      forward: () => this.cache.get(`${key} forward`, () => withoutGradients(this.loss.build(specs).outputs)),
      batch: { ...allocateBatch(specs), ...more, ...this.reference?.arrays(output) },
      specs: batchSpecs(layout, size),
      layout: { ...layout, ...this.loss.task.targets(layout) },
      masks,
      curvature,
      factors: new FactorPrograms(this.cache, key, (labels) => this.loss.ofAnswers(specs, labels)),
      output: () => this.cache.get(`${key} output`, () => ({ output: this.loss.output(specs) })),
      loss: {
        trained: new Map(trained.map((name) => [name, parameters.get(name)?.size ?? 0])),
        tables,
        buffers: [...scope.bufferUpdates.keys()],
        counters: scope.state.filter(({ kind }) => kind === 'counter').map(({ name }) => name),
      },
    };
  }

  async release(): Promise<void> {
    await this.releaseAll?.();
  }
}

/** A product by one would be such a node as ONNX Runtime's optimization breaks. */
function scaled(tensor: Tensor, factor: number): Tensor {
  return factor === 1 ? tensor : mul(tensor, factor);
}

/** What a run of a program found, and what it cost in evaluations of the gradient. */
interface Found {
  readonly loss: number;
  readonly gradients: ParameterSet;
  readonly next: Results;
  readonly cost: number;
}

async function run(prepared: Prepared, feeds: Feeds): Promise<Found> {
  const results = await (await prepared.program()).run(feeds);
  if (prepared.gradients?.of !== results) {
    const names = [...prepared.loss.trained.keys()];
    prepared.gradients = { of: results, values: new Map(names.map((name) => [name, gradientIn(results, name)])) };
  }
  return { loss: Number(results.loss[0]), gradients: prepared.gradients.values, next: results, cost: 1 };
}

const gradientIn = (results: Results, name: string) => results[`grad ${name}`] as Float32Array;

/** A forward pass in evaluations of the gradient: the way back is two products for each of the way there. */
const forwardCost = 1 / 3;

/** What factors cost: one evaluation, and a product more for each layer's input and output. */
const factorCost = 5 / 3;

async function runForward(prepared: Prepared, feeds: Feeds): Promise<Found> {
  const results = await (await prepared.forward()).run(feeds);
  prepared.zeros ??= zerosOf(prepared.loss.trained);
  return { loss: Number(results.loss[0]), gradients: prepared.zeros, next: results, cost: forwardCost };
}

/** Zeros of some sizes by name, all in the memory of the largest. */
function zerosOf(sizes: ReadonlyMap<string, number>): ParameterSet {
  const longest = new Float32Array([...sizes.values()].reduce((most, size) => Math.max(most, size), 0));
  return new Map(Array.from(sizes, ([name, size]) => [name, longest.subarray(0, size)]));
}

/** Moves on running statistics and counts of steps: once a step, however often an optimizer evaluates it. */
function track({ loss: { buffers, counters } }: Prepared, params: ParameterSet, next: Results): void {
  for (const name of buffers) params.get(name)?.set(next[`next ${name}`] as Float32Array);
  for (const name of counters) {
    // A file of a PyTorch before 0.4.1 has no counts. Float32 counts exactly to 2^24 steps.
    const count = params.get(name);
    if (count) count[0] += 1;
  }
}
