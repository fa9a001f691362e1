import { allocateBatch, type BatchOrder, batchOrder, type Dataset, gatherBatch, layoutAt } from '../data/index.js';
import { type EngineOptions, type Program, ProgramCache, type Results } from '../engine/index.js';
import { add, ancestors, gradients, mul, type Tensor, type TypedArray } from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { type ForwardPass, type ModelSpec, smallestExample } from '../models/index.js';
import { type ArraySpecs, type Batch, batchInput, batchSpecs, feedsOf, type MaskSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type TargetReader, type Task, taskOf } from '../tasks/index.js';
import { BatchOracle, CurvaturePrograms } from './curvature.js';
import { Evaluator } from './evaluate.js';
import type { ParameterSet, ParameterShapes, StepOracle } from './optimizers/index.js';
import type { Original } from './original.js';

/** Loss and gradients of one step. The arrays belong to the objective: the next step writes over them. */
export interface StepResult {
  /** Mean loss of the batch. */
  readonly loss: number;
  /** Gradient of every trained parameter. */
  readonly gradients: ParameterSet;
  /** Answers further questions about the same batch, until the next step is computed; none where only the gradient is known. */
  readonly oracle?: StepOracle;
}

/** What training descends: loss and gradients at given parameters, for the batch of a given step. */
export interface Objective {
  /** Steps after which every example was seen once. */
  readonly stepsPerEpoch: number;
  /** Shapes of the model's parameters, buffers and counters. */
  readonly shapes: ParameterShapes;
  /**
   * Computes one step; the same parameters and step give the same bits. What training tracks without a gradient (running
   * statistics, counts of steps) is moved on in `params`, in place.
   */
  compute(params: ParameterSet, step: number): Promise<StepResult>;
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
  /** Decides shuffles and dropout. */
  seed: number;
  /** Parts of the loss; default the task's loss alone. */
  loss?: LossWeights;
  /** What the model whose behaviour is kept gives; needed for the divergence. */
  reference?: Original;
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
  dataset,
  batchSize,
  accumulate = 1,
  seed,
  loss: { task: taskWeight = 1, divergence = 0 } = {},
  reference,
  engine,
  programs,
}: ObjectiveOptions): Promise<Objective> {
  task.requireFit(model, dataset);
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
  const loss = new LossGraphs(model, task, { task: taskWeight, divergence });
  const objective = new BatchObjective(
    loss,
    dataset,
    { order: batchOrder(dataset, size, seed), parts: Math.min(accumulate, size) },
    cache,
    divergence !== 0 && reference
      ? { original: reference, teacher: new Evaluator(model, {}, { task, programs: cache }) }
      : undefined,
    programs ? undefined : () => cache.release(),
  );
  await objective.prepare();
  return objective;
}

/** The outputs that a divergence is from, and what computes those that were not kept. */
interface Reference {
  readonly original: Original;
  readonly teacher: Evaluator;
}

function requireReference(dataset: Dataset, reference: Original | undefined): void {
  if (reference && 'weights' in reference) return;
  const outputs = reference?.outputs;
  if (!outputs || dataset.size === 0 || outputs.length % dataset.size !== 0) {
    const found = outputs ? `${outputs.length} numbers` : 'none';
    throw new InputError(`objective: expected reference outputs of ${dataset.size} examples, got ${found}`);
  }
  if (dataset.examples.augmented) {
    throw new InputError(
      `${dataset.name}: expected examples without crop and flip for the KL part, whose reference outputs are those of the plain ones`,
    );
  }
}

/** Name of the batch's array that holds the reference outputs. */
const REFERENCE = 'reference';

/** A loss, written into a graph for one layout of batches. */
interface LossGraph {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly scope: ForwardPass['scope'];
  readonly output: Tensor;
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Parameters that have a gradient. */
  readonly trained: readonly string[];
}

/** Writes the loss of a model, for the layout of a batch. */
class LossGraphs {
  constructor(
    readonly model: ModelSpec,
    readonly task: Task,
    readonly weights: { readonly task: number; readonly divergence: number },
  ) {}

  /** Names the loss of a batch among the programs of a cache. */
  key(batch: ArraySpecs): string {
    const { task, model, weights } = this;
    return JSON.stringify(['objective', task.name, model.digest, weights, batch]);
  }

  /** The arrays of a batch whose examples are laid out so: those of the examples, and the targets'. */
  specs(layout: ArraySpecs, size: number): ArraySpecs {
    return batchSpecs({ ...layout, ...this.task.targets(layout) }, size);
  }

  /** The graph of loss, gradients and next buffers. */
  build(batch: ArraySpecs): LossGraph {
    const { task, weights } = this;
    const { graph, scope, outputs: found } = this.model.build(batch, { training: true });
    const output = found[task.output];
    const parts: Tensor[] = [];
    const target = targetsIn(output, batch);
    if (weights.task !== 0 && task.loss) {
      parts.push(mul(task.loss(output, target), weights.task));
    }
    if (weights.divergence !== 0) {
      const reference = graph.input(batchInput(REFERENCE), output.shape);
      parts.push(mul(task.divergence(output, reference, target), weights.divergence));
    }
    const loss = parts.reduce((a, b) => add(a, b));
    const parameters = scope.parameterInputs;
    const names = [...parameters.keys()];
    const slopes = gradients(loss, [...parameters.values()]);
    const outputs: Record<string, Tensor> = { loss };
    names.forEach((name, index) => {
      const gradient = slopes[index];
      if (gradient) outputs[`grad ${name}`] = gradient;
    });
    for (const [name, value] of scope.bufferUpdates) outputs[`next ${name}`] = value;
    return { outputs, scope, output, parameters, trained: names.filter((_, index) => slopes[index]) };
  }
}

/**
 * Bytes that one step's tensors take at most, parameters and gradients included: the sum over the graph, of which ONNX
 * Runtime reuses a part.
 *
 * @param layout - Arrays of one example; default the smallest that the model takes.
 */
export function stepBytes(model: ModelSpec, batchSize: number, layout: ArraySpecs = smallestExample(model)): number {
  const task = taskOf(model);
  const loss = new LossGraphs(model, task, task.loss ? { task: 1, divergence: 0 } : { task: 0, divergence: 1 });
  const outputs = Object.values(loss.build(loss.specs(layout, batchSize)).outputs);
  const inputs = [...outputs[0].graph.inputs.values()];
  const computed = ancestors(outputs).flatMap((node) => node.outputs);
  // All element types here are float32 or int32 but for the pool's int64 indices; four bytes are near enough.
  return 4 * [...inputs, ...computed].reduce((sum, tensor) => sum + tensor.size, 0);
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
  readonly batch: Batch;
  /** Arrays of the batch that the examples give. */
  readonly specs: ArraySpecs;
  /** Arrays of one example of the batch. */
  readonly layout: ArraySpecs;
  readonly masks: readonly { spec: MaskSpec; values: Float32Array }[];
  readonly curvature: CurvaturePrograms;
  readonly loss: Pick<LossGraph, 'trained'> & { buffers: readonly string[]; counters: readonly string[] };
  /** The gradients among the results of a program, which fills the same arrays at every run. */
  gradients?: { readonly of: Results; readonly values: ParameterSet };
}

class BatchObjective implements Objective {
  readonly stepsPerEpoch: number;
  shapes: ParameterShapes = new Map();
  readonly order: BatchOrder;
  readonly #positions: Uint32Array;
  /** The positions of each part of a batch, in the same memory. */
  readonly #parts: readonly Uint32Array[];
  /** Sums over the parts, where there are several. */
  readonly #sums = new Map<string, Float32Array>();
  readonly #readTarget: TargetReader;
  readonly #prepared = new Map<string, Promise<Prepared>>();

  constructor(
    readonly loss: LossGraphs,
    readonly dataset: Dataset,
    { order, parts }: { order: BatchOrder; parts: number },
    readonly cache: ProgramCache,
    readonly reference: Reference | undefined,
    readonly releaseAll: (() => Promise<void>) | undefined,
  ) {
    this.order = order;
    this.stepsPerEpoch = order.stepsPerEpoch;
    this.#positions = new Uint32Array(order.batchSize);
    const cut = (part: number) => Math.round((part * order.batchSize) / parts);
    this.#parts = Array.from({ length: parts }, (_, part) => this.#positions.subarray(cut(part), cut(part + 1)));
    this.#readTarget = loss.task.targetReader(dataset);
  }

  /** Compiles the program of the first batch. */
  async prepare(): Promise<void> {
    this.order.positions(0, this.#positions);
    await (await this.#layoutOf(this.#parts[0])).program();
  }

  async compute(params: ParameterSet, step: number): Promise<StepResult> {
    this.order.positions(step, this.#positions);
    const [first, ...others] = this.#parts;
    if (others.length === 0) return this.#computePart(params, first, step);
    let loss = 0;
    let counted = 0;
    for (const values of this.#sums.values()) values.fill(0);
    for (const [index, positions] of this.#parts.entries()) {
      const part = await this.#computePart(params, positions, step * this.#parts.length + index);
      loss += part.count * part.loss;
      counted += part.count;
      for (const [name, values] of part.gradients) addTo(this.#sums, name, values, part.count);
    }
    for (const values of this.#sums.values()) {
      for (let i = 0; i < values.length; i++) values[i] /= Math.max(counted, 1);
    }
    return { loss: loss / Math.max(counted, 1), gradients: this.#sums };
  }

  /**
   * One part of a batch.
   *
   * @param draw - Numbers what is drawn for it.
   * @returns With `count`, the number of targets that its loss is a mean over.
   */
  async #computePart(
    params: ParameterSet,
    positions: Uint32Array,
    draw: number,
  ): Promise<StepResult & { readonly count: number }> {
    const prepared = await this.#layoutOf(positions);
    const { batch, layout, masks } = prepared;
    const { examples } = this.dataset;
    const random = examples.augmented ? new RandomStream(this.order.seed, 'augmentation', draw) : undefined;
    gatherBatch(this.dataset, positions, prepared, random);
    positions.forEach((position, row) => {
      this.#readTarget(position, { batch, row, layout });
    });
    if (this.reference) await this.#readReference(this.reference, positions, prepared);
    for (const { spec, values } of masks) {
      const stream = new RandomStream(this.order.seed, spec.name, draw);
      stream.fillBernoulli(values, spec.keepProbability, 1 / spec.keepProbability);
    }
    const feeds = feedsOf(batch, params);
    const { loss, gradients, next } = await run(prepared, feeds);
    track(prepared, params, next);
    const oracle = new BatchOracle(loss, feeds, () => run(prepared, feeds), prepared.curvature);
    const count = this.loss.task.count?.(batch) ?? positions.length;
    return { loss, gradients, oracle, count };
  }

  /** Writes what the original gives for the batch into it. */
  async #readReference(
    { original, teacher }: Reference,
    positions: Uint32Array,
    { batch, specs }: Prepared,
  ): Promise<void> {
    const rows = batch[REFERENCE] as Float32Array;
    if ('outputs' in original) gatherRows(original.outputs, this.dataset.size, positions, rows);
    else rows.set((await teacher.forward(original.weights, batch, specs)).values);
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
    const { scope, output, trained } = this.loss.build(specs);
    this.shapes = new Map(scope.state.map(({ name, shape }) => [name, shape]));
    const { task, weights } = this.loss;
    const curvature = new CurvaturePrograms(this.cache, key, () => ({
      ...this.loss.build(specs),
      curvature: (found, u) =>
        scaled(task.curvature(found, u, targetsIn(found, specs)), weights.task + weights.divergence),
    }));
    const masks = scope.masks.map((spec) => ({
      spec,
      values: new Float32Array(spec.shape.reduce((product, length) => product * length, 1)),
    }));
    const more: Record<string, TypedArray> = Object.fromEntries(masks.map(({ spec, values }) => [spec.name, values]));
    if (this.reference) more[REFERENCE] = new Float32Array(output.size);
    return {
      program: () => this.cache.get(key, () => this.loss.build(specs).outputs),
      batch: { ...allocateBatch(specs), ...more },
      specs: batchSpecs(layout, size),
      layout: { ...layout, ...this.loss.task.targets(layout) },
      masks,
      curvature,
      loss: {
        trained,
        buffers: [...scope.bufferUpdates.keys()],
        counters: scope.state.filter(({ kind }) => kind === 'counter').map(({ name }) => name),
      },
    };
  }

  async release(): Promise<void> {
    await this.releaseAll?.();
  }
}

/** The arrays of a batch as inputs of the graph that a tensor is in, declared when they are asked for. */
function targetsIn({ graph }: Tensor, batch: ArraySpecs): (name: string) => Tensor {
  return (name) => {
    const input = batchInput(name);
    return graph.inputs.get(input) ?? graph.input(input, batch[name].shape, batch[name].dtype);
  };
}

/** A product by one would be such a node as ONNX Runtime's optimization breaks. */
function scaled(tensor: Tensor, factor: number): Tensor {
  return factor === 1 ? tensor : mul(tensor, factor);
}

/** Copies the rows at some positions of an array `[size, ...]`. */
function gatherRows(values: Float32Array, size: number, positions: Uint32Array, out: Float32Array): void {
  const width = values.length / size;
  positions.forEach((position, row) => {
    out.set(values.subarray(position * width, (position + 1) * width), row * width);
  });
}

async function run(
  prepared: Prepared,
  feeds: Readonly<Record<string, TypedArray>>,
): Promise<{ loss: number; gradients: ParameterSet; next: Results }> {
  const results = await (await prepared.program()).run(feeds);
  if (prepared.gradients?.of !== results) {
    const values = new Map(prepared.loss.trained.map((name) => [name, results[`grad ${name}`] as Float32Array]));
    prepared.gradients = { of: results, values };
  }
  return { loss: Number(results.loss[0]), gradients: prepared.gradients.values, next: results };
}

/** Adds a multiple of some values to those of a name. */
function addTo(sums: Map<string, Float32Array>, name: string, values: Float32Array, factor: number): void {
  const sum = sums.get(name) ?? new Float32Array(values.length);
  for (let i = 0; i < sum.length; i++) sum[i] += factor * values[i];
  sums.set(name, sum);
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
