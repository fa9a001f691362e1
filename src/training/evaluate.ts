import { type Dataset, layoutAt, readBatch } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { type HalfType, rounded, type Shape, sizeOf } from '../graph/index.js';
import type { ModelSpec } from '../models/index.js';
import { type ArraySpecs, batchSpecs, feedsOf } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type Evaluation, type Task, taskOf } from '../tasks/index.js';
import type { ParameterSet } from './optimizers/index.js';

/** Options of {@link Evaluator}. */
export interface EvaluatorOptions {
  /** What the model is judged on; default the task of its head. */
  task?: Task;
  /** Examples a run; default 256. */
  batchSize?: number;
}

/** How a model's outputs are computed. */
export interface OutputOptions {
  /** As a machine that stores every value, weights too, in that 16-bit type; default float32. */
  type?: HalfType;
}

/** The forward pass of one model, compiled once for each shape of batches and run with any weights on any data set. */
export class Evaluator {
  /** What the model is judged on. */
  readonly task: Task;
  readonly #batchSize: number;
  readonly #programs: ProgramCache;
  /** Shape of each program's output. */
  readonly #shapes = new Map<string, Shape>();

  /**
   * @param model - The model without its weights.
   * @param engine - Threads and device.
   */
  constructor(
    readonly model: ModelSpec,
    engine: EngineOptions = {},
    { task = taskOf(model), batchSize = 256 }: EvaluatorOptions = {},
  ) {
    this.task = task;
    this.#batchSize = batchSize;
    this.#programs = new ProgramCache(engine);
  }

  /** The outputs that the task compares, `[size, ...]`: logits of a classifier. */
  async outputs(params: ParameterSet, dataset: Dataset, options: OutputOptions = {}): Promise<Float32Array> {
    let all: Float32Array | undefined;
    await this.#run(params, dataset, options, (outputs, [count, ...shape], start) => {
      const width = sizeOf(shape);
      all ??= new Float32Array(width * dataset.size);
      if (all.length !== width * dataset.size) {
        throw new InputError(`${dataset.name}: expected outputs of one shape to keep, found others from ${start} on`);
      }
      all.set(outputs.subarray(0, width * count), width * start);
    });
    return all ?? new Float32Array();
  }

  /**
   * What the task measures.
   *
   * @param options - `original`: outputs of the model whose behaviour is kept; then it is measured what that is worth still.
   */
  async evaluate(
    params: ParameterSet,
    dataset: Dataset,
    { original, ...options }: OutputOptions & { original?: Float32Array } = {},
  ): Promise<Evaluation> {
    const meter = this.task.meter(dataset, this.model.head.size, original);
    await this.#run(params, dataset, options, (outputs, shape) => meter.add(outputs, shape));
    return meter.result();
  }

  /** Frees all compiled programs. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  async #run(
    params: ParameterSet,
    dataset: Dataset,
    { type }: OutputOptions,
    take: (outputs: Float32Array, shape: Shape, start: number) => void,
  ): Promise<void> {
    this.task.requireFit(this.model, dataset);
    for (let start = 0; start < dataset.size; start += this.#batchSize) {
      // A last, smaller batch has a program of its own, so that no example is computed twice.
      const count = Math.min(this.#batchSize, dataset.size - start);
      const positions = Uint32Array.from({ length: count }, (_, row) => start + row);
      const specs = batchSpecs(layoutAt(dataset, positions), count);
      const key = JSON.stringify([specs, type]);
      const program = await this.#programs.get(key, () => {
        const output = this.#forward(specs, type);
        this.#shapes.set(key, output.shape);
        return { output };
      });
      const { output } = await program.run(feedsOf(readBatch(dataset, start, count), params));
      take(output as Float32Array, this.#shapes.get(key) ?? [], start);
    }
  }

  #forward(specs: ArraySpecs, type: HalfType | undefined) {
    const output = this.model.build(specs).outputs[this.task.output];
    return type === undefined ? output : rounded({ output }, type).output;
  }
}
