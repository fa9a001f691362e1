import { allocateBatch, type Dataset, gatherBatch, layoutAt } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { type HalfType, rounded, type Shape, sizeOf, substituted, type Tensor } from '../graph/index.js';
import type { ModelSpec } from '../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs, feedsOf, weightInput } from '../nn/index.js';
import { InputError, InterruptedError } from '../registry/index.js';
import { type Evaluation, type Outputs, type Task, taskOf } from '../tasks/index.js';
import type { ParameterSet } from './optimizers/index.js';
import type { Original } from './original.js';
import { requireTop, TopOutputs } from './top-outputs.js';

/** Options of {@link Evaluator}. */
export interface EvaluatorOptions {
  /** What the model is judged on; default the task of its head. */
  task?: Task;
  /** Examples a run at most; default 256. */
  batchSize?: number;
  /** Keeps the compiled programs, and frees them; default a cache of its own. */
  programs?: ProgramCache;
}

/** Who hears of a pass over a data set, and who may end it. */
export interface PassWatch {
  /** Hears how many more examples are done. */
  readonly onExamples?: (count: number) => void;
  /** Ends it between two runs of a program. */
  readonly signal?: AbortSignal;
}

/** How a model's outputs are computed. */
export interface OutputOptions extends PassWatch {
  /** As a machine that stores every value, weights too, in that 16-bit type; default float32. */
  type?: HalfType;
}

/** Examples that are computed at once. */
interface Piece {
  readonly positions: Uint32Array;
  readonly batch: Batch;
  readonly specs: ArraySpecs;
}

/** Examples of one run at most, unless it is said otherwise. */
export const examplesARun = 256;
/** Tokens of one run at most, so that a few long texts are computed at once, and many short ones. */
const tokensARun = 4096;
/** Outputs of one run at most: 256 MB. */
const outputsARun = 2 ** 26;
/** Outputs of a data set that are kept for comparison at most: 256 MB. More are computed again, which costs a forward pass. */
const keptOutputs = 2 ** 26;

/** The forward pass of one model, compiled once for each shape of batches and run with any weights on any data set. */
export class Evaluator {
  /** What the model is judged on. */
  readonly task: Task;
  readonly #batchSize: number;
  readonly #programs: ProgramCache;
  readonly #isOwner: boolean;
  /** Shape of the outputs of each layout of batches. */
  readonly #shapes = new Map<string, Shape>();

  /**
   * @param model - The model without its weights.
   * @param engine - Threads and device.
   */
  constructor(
    readonly model: ModelSpec,
    engine: EngineOptions = {},
    { task = taskOf(model), batchSize = examplesARun, programs }: EvaluatorOptions = {},
  ) {
    this.task = task;
    this.#batchSize = batchSize;
    this.#programs = programs ?? new ProgramCache(engine);
    this.#isOwner = programs === undefined;
  }

  /**
   * The outputs that the task compares, `[size, ...]`: logits of a classifier.
   *
   * @throws InputError where they differ in shape, as those of every token of texts do.
   */
  async outputs(params: ParameterSet, dataset: Dataset, options: OutputOptions = {}): Promise<Float32Array> {
    this.task.requireFit(this.model, dataset);
    let all: Float32Array | undefined;
    await this.each(
      params,
      this.#view(dataset),
      ({ values, positions, shape: [, ...shape] }) => {
        const width = sizeOf(shape);
        all ??= new Float32Array(width * dataset.size);
        if (all.length !== width * dataset.size) {
          throw new InputError(`${dataset.name}: expected outputs of one shape to keep, found others`);
        }
        for (const [row, position] of positions.entries()) {
          all.set(values.subarray(width * row, width * (row + 1)), width * position);
        }
      },
      options,
    );
    return all ?? new Float32Array();
  }

  /**
   * What other weights are compared with later: the outputs of these on a data set where they are few and the same each time, else
   * a copy of the weights.
   */
  async original(params: ParameterSet, dataset: Dataset, watch: PassWatch = {}): Promise<Original> {
    if (this.#keeps(dataset)) return { outputs: await this.outputs(params, dataset, watch) };
    return { weights: new Map([...params].map(([name, values]) => [name, values.slice()])), model: this.model };
  }

  /**
   * The most likely answers that weights give each token of a data set.
   *
   * @param k - How many of each.
   * @throws InputError for a task whose answers are few, or others each time.
   */
  async topOutputs(params: ParameterSet, dataset: Dataset, k: number, watch: PassWatch = {}): Promise<TopOutputs> {
    this.task.requireFit(this.model, dataset);
    requireTop(this.task);
    const top = new TopOutputs(dataset, { k, width: this.model.head.size });
    await this.each(params, dataset, (outputs) => top.keep(outputs), watch);
    return top;
  }

  /** The examples as the task gives them to the model. */
  #view(dataset: Dataset): Dataset {
    return this.task.view?.(dataset) ?? dataset;
  }

  /** Whether all outputs of a data set have one shape, fit, and are the same each time. */
  #keeps(dataset: Dataset): boolean {
    // Each step shows others.
    if (this.#view(dataset).examples.augmented) return false;
    if (dataset.examples.lengths === undefined)
      return sizeOf(this.#shapeOf(dataset, [0]).slice(1)) * dataset.size <= keptOutputs;
    const lengths = [...dataset.indices].map((index) => dataset.examples.lengths?.[index] ?? 0);
    const [shortest, longest] = [Math.min, Math.max].map((of) => lengths.indexOf(lengths.reduce((a, b) => of(a, b))));
    const [least, most] = [shortest, longest].map((position) => sizeOf(this.#shapeOf(dataset, [position]).slice(1)));
    return least === most && most * dataset.size <= keptOutputs;
  }

  /**
   * What the task measures.
   *
   * @param options - `original`: what the model whose behaviour is kept gives; then it is measured what that is worth still.
   */
  async evaluate(
    params: ParameterSet,
    dataset: Dataset,
    { original, ...options }: OutputOptions & { original?: Original } = {},
  ): Promise<Evaluation> {
    this.task.requireFit(this.model, dataset);
    const meter = this.task.meter(dataset, this.model.head.size, { compares: original !== undefined });
    await this.each(params, this.#view(dataset), (outputs) => meter.add(outputs), { ...options, original });
    return meter.result();
  }

  /**
   * What the task measures of several sets of weights. Layers before the first array in which they differ are computed once.
   *
   * @param sets - What they share is the same arrays.
   */
  async evaluateAll(sets: readonly ParameterSet[], dataset: Dataset, watch: PassWatch = {}): Promise<Evaluation[]> {
    this.task.requireFit(this.model, dataset);
    const meters = sets.map(() => this.task.meter(dataset, this.model.head.size, { compares: false }));
    for (const { positions, batch, specs } of this.#pieces(this.#view(dataset), watch.signal)) {
      const found = await this.#forwardAll(sets, batch, specs);
      for (const [index, meter] of meters.entries()) meter.add({ positions, ...found[index] });
      watch.onExamples?.(positions.length);
    }
    return meters.map((meter) => meter.result());
  }

  /**
   * Computes the outputs of a data set piece by piece, in an order of the evaluator's, and of its examples as they are.
   *
   * @param take - Hears of each piece; its arrays are written over when it has returned.
   * @throws InterruptedError after the signal.
   */
  async each(
    params: ParameterSet,
    dataset: Dataset,
    take: (outputs: Outputs) => void,
    { original, onExamples, signal, ...options }: OutputOptions & { original?: Original } = {},
  ): Promise<void> {
    for (const { positions, batch, specs } of this.#pieces(dataset, signal)) {
      const other = original && (await this.#originalOf(original, { positions, batch, specs, size: dataset.size }));
      const { values, shape } = await this.forward(params, batch, specs, options);
      take({ positions, values, shape, original: other });
      onExamples?.(positions.length);
    }
  }

  /** A data set in pieces that are computed at once. */
  *#pieces(dataset: Dataset, signal?: AbortSignal): Generator<Piece> {
    const order = byLength(dataset);
    for (let start = 0; start < dataset.size; ) {
      if (signal?.aborted) throw new InterruptedError(`interrupted after ${start} of ${dataset.size} examples`);
      const positions = order.slice(start, start + this.#countFrom(dataset, order, start));
      start += positions.length;
      const layout = layoutAt(dataset, positions);
      const specs = batchSpecs(layout, positions.length);
      const batch = allocateBatch(specs);
      gatherBatch(dataset, positions, { batch, layout });
      yield { positions, batch, specs };
    }
  }

  /**
   * Outputs of a batch by some weights.
   *
   * @param specs - The arrays of the batch.
   * @param model - What the weights are of; default the evaluator's.
   * @returns The program's own array, which its next run writes over.
   */
  async forward(
    params: ParameterSet,
    batch: Batch,
    specs: ArraySpecs,
    { type }: OutputOptions = {},
    model: ModelSpec = this.model,
  ): Promise<{ values: Float32Array; shape: Shape }> {
    const key = JSON.stringify(['forward', this.task.output, model.digest, specs, type]);
    const program = await this.#programs.get(key, () => ({ output: this.#output(specs, type, model) }));
    const { output } = await program.run(feedsOf(batch, params));
    return { values: output as Float32Array, shape: program.shapes.output };
  }

  /** Outputs of a batch by each of several sets of weights, in the program's own arrays. */
  async #forwardAll(
    sets: readonly ParameterSet[],
    batch: Batch,
    specs: ArraySpecs,
  ): Promise<{ values: Float32Array; shape: Shape }[]> {
    const [first, ...others] = sets;
    if (others.length === 0) return [await this.forward(first, batch, specs)];
    const own = others.map((params) => [...params].filter(([name, values]) => first.get(name) !== values));
    const names = own.map((weights) => weights.map(([name]) => name));
    const key = JSON.stringify(['forward all', this.task.output, this.model.digest, specs, names]);
    const program = await this.#programs.get(key, () => {
      const output = this.#output(specs);
      const outputs = [output, ...names.map((each, set) => withOwnWeights(output, each, set))];
      return Object.fromEntries(outputs.map((tensor, index) => [index, tensor]));
    });
    const feeds = feedsOf(batch, first);
    for (const [set, weights] of own.entries()) {
      for (const [name, values] of weights) feeds[ownWeight(name, set)] = values;
    }
    const found = await program.run(feeds);
    return sets.map((_, index) => ({ values: found[index] as Float32Array, shape: program.shapes[index] }));
  }

  /** Floating-point operations of all that it computed, or that the cache did whose programs it uses. */
  get flops(): number {
    return this.#programs.flops;
  }

  /** Frees all compiled programs, unless they belong to a cache. */
  async release(): Promise<void> {
    if (this.#isOwner) await this.#programs.release();
  }

  /** What the original gives for a batch, in an array that outlives the next run. */
  async #originalOf(
    original: Original,
    { positions, batch, specs, size }: { positions: Uint32Array; batch: Batch; specs: ArraySpecs; size: number },
  ): Promise<Float32Array> {
    if ('weights' in original) {
      return (await this.forward(original.weights, batch, specs, {}, original.model)).values.slice();
    }
    const width = original.outputs.length / size;
    const rows = new Float32Array(width * positions.length);
    for (const [row, position] of positions.entries()) {
      rows.set(original.outputs.subarray(position * width, (position + 1) * width), row * width);
    }
    return rows;
  }

  /** How many examples from one on are computed at once. */
  #countFrom(dataset: Dataset, order: Uint32Array, start: number): number {
    const { lengths } = dataset.examples;
    // A last, smaller batch has a program of its own, so that no example is computed twice.
    const left = Math.min(this.#batchSize, dataset.size - start);
    if (lengths === undefined) return left;
    // With their padding: as many of each length that is padded to, so that these share a program.
    const layout = layoutAt(dataset, Uint32Array.of(order[start]));
    return Math.min(left, textsARun(layout, sizeOf(this.#shapeOf(dataset, [order[start]]))));
  }

  /** Shape of the outputs of a batch of the examples at some positions. */
  #shapeOf(dataset: Dataset, positions: readonly number[]): Shape {
    const specs = batchSpecs(layoutAt(dataset, Uint32Array.from(positions)), positions.length);
    const key = JSON.stringify(specs);
    const known = this.#shapes.get(key) ?? this.#output(specs).shape;
    this.#shapes.set(key, known);
    return known;
  }

  #output(specs: ArraySpecs, type?: HalfType, model: ModelSpec = this.model) {
    const output = model.build(specs).outputs[this.task.output];
    return type === undefined ? output : rounded({ output }, type).output;
  }
}

/** Input of a weight in which one set of several differs from the first. */
function ownWeight(name: string, set: number): string {
  return `${weightInput(name)} of ${set}`;
}

/** An output with some weights of a set's own; layers that read none of them are the same tensors. */
function withOwnWeights(output: Tensor, names: readonly string[], set: number): Tensor {
  const { graph } = output;
  return names.reduce((tensor, name) => {
    const weight = graph.inputs.get(weightInput(name));
    return weight ? substituted(tensor, weight, graph.input(ownWeight(name, set), weight.shape, weight.dtype)) : tensor;
  }, output);
}

/**
 * Texts that are computed at once.
 *
 * @param layout - Of one of them.
 * @param outputs - How many outputs one has.
 */
export function textsARun(layout: ArraySpecs, outputs: number): number {
  const tokens = Math.max(...Object.values(layout).map(({ shape: [length] }) => length));
  return Math.max(1, Math.min(Math.floor(tokensARun / tokens), Math.floor(outputsARun / outputs)));
}

/** The positions of a data set, the longest examples first, so that those of one run are padded little. */
function byLength({ size, indices, examples: { lengths } }: Dataset): Uint32Array {
  const positions = Uint32Array.from({ length: size }, (_, position) => position);
  return lengths ? positions.sort((a, b) => lengths[indices[b]] - lengths[indices[a]] || a - b) : positions;
}
