import { type EngineOptions, type Feeds, ProgramCache } from '../engine/index.js';
import { type FloatArray, gradients, sizeOf, type Tensor, type TypedArray } from '../graph/index.js';
import type { Model } from '../models/index.js';
import { type ArraySpecs, type Batch, batchInput, weightInput } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type Task, taskOf } from '../tasks/index.js';
import { type CurvatureKind, CurvaturePrograms, type LossGraph } from '../training/index.js';

/** A parameter's place among all numbers of a point. */
export interface Block {
  /** Name in the state dict. */
  readonly name: string;
  /** Shape. */
  readonly shape: readonly number[];
  /** Its first number. */
  readonly offset: number;
  /** How many numbers. */
  readonly size: number;
}

/** A loss at a point. */
export interface Evaluated {
  /** Loss. */
  readonly loss: number;
  /** Gradient, `[n]`. */
  readonly gradient: Float64Array;
}

/** What a loss needs of its graph; `outputs` are written by {@link lossGraph}. */
export interface LossParts extends Omit<LossGraph, 'outputs'> {
  /** Scalar. */
  readonly loss: Tensor;
}

/** A loss with the gradients of all its parameters as a {@link LossGraph}. */
export function lossGraph({ loss, ...parts }: LossParts): LossGraph {
  const names = [...parts.parameters.keys()];
  const slopes = gradients(loss, [...parts.parameters.values()]);
  const outputs: Record<string, Tensor> = { loss };
  names.forEach((name, index) => {
    const slope = slopes[index];
    if (slope) outputs[`grad ${name}`] = slope;
  });
  return { ...parts, outputs };
}

/**
 * A loss on one batch as a function of all its parameters, in float64: value, gradient, products with second derivatives. A
 * point is one array of all parameters, one behind the other.
 */
export class LossSurface {
  /** Where each parameter is in a point. */
  readonly blocks: readonly Block[];
  /** Numbers of a point. */
  readonly size: number;
  readonly #cache: ProgramCache;
  readonly #programs: CurvaturePrograms;
  readonly #point: ReadonlyMap<string, Float64Array>;
  readonly #factor: ReadonlyMap<string, Float64Array>;
  readonly #feeds: Record<string, TypedArray>;

  /**
   * @param build - Writes the loss into a graph of its own, in float64.
   * @param data - What the graph is fed beside its parameters, by input name.
   */
  constructor(
    readonly build: () => LossGraph,
    data: Feeds,
    engine: EngineOptions = {},
  ) {
    let offset = 0;
    this.blocks = Array.from(build().parameters, ([name, { shape }]) => {
      const block = { name, shape, offset, size: sizeOf(shape) };
      offset += block.size;
      return block;
    });
    this.size = offset;
    this.#cache = new ProgramCache(engine);
    this.#programs = new CurvaturePrograms(this.#cache, 'surface', build);
    const arrays = () => new Map(this.blocks.map(({ name, size }) => [name, new Float64Array(size)]));
    this.#point = arrays();
    this.#factor = arrays();
    this.#feeds = { ...data };
    for (const [name, values] of this.#point) this.#feeds[weightInput(name)] = values;
  }

  /** Loss and gradient at a point. */
  async evaluate(point: Float64Array): Promise<Evaluated> {
    this.#spread(point, this.#point);
    const program = await this.#cache.get('value', () => this.build().outputs);
    const results = await program.run(this.#feeds);
    const gradient = new Float64Array(this.size);
    for (const { name, offset } of this.blocks) {
      const values = results[`grad ${name}`];
      if (values) gradient.set(values as Float64Array, offset);
    }
    return { loss: Number(results.loss[0]), gradient };
  }

  /** The product of a matrix of second derivatives at a point with a vector, `[n]`. */
  async product(kind: CurvatureKind, point: Float64Array, vector: Float64Array): Promise<Float64Array> {
    this.#spread(point, this.#point);
    this.#spread(vector, this.#factor);
    const found = await this.#programs.product(kind, this.#feeds, this.#factor);
    const product = new Float64Array(this.size);
    for (const { name, offset } of this.blocks) {
      const values = found.get(name);
      if (values) product.set(values, offset);
    }
    return product;
  }

  /** A point from values by parameter name; a float32 value is the same number in float64. */
  pointOf(values: ReadonlyMap<string, ArrayLike<number>>): Float64Array {
    const point = new Float64Array(this.size);
    for (const { name, offset, size } of this.blocks) {
      const found = values.get(name);
      if (found?.length !== size) {
        throw new InputError(`${name}: expected ${size} values of a parameter, got ${found?.length ?? 'none'}`);
      }
      point.set(found, offset);
    }
    return point;
  }

  /** Frees the programs. */
  release(): Promise<void> {
    return this.#cache.release();
  }

  #spread(values: Float64Array, to: ReadonlyMap<string, Float64Array>): void {
    if (values.length !== this.size) {
      throw new InputError(`loss surface: expected ${this.size} numbers, got ${values.length}`);
    }
    for (const { name, offset, size } of this.blocks) to.get(name)?.set(values.subarray(offset, offset + size));
  }
}

/** What {@link modelSurface} is about. */
export interface ModelSurfaceOptions {
  /** The model; its buffers are used as they are. */
  readonly model: Model;
  /** Arrays of the batch, those of the targets included; float32 is taken over as float64. */
  readonly batch: Batch;
  /** Their shapes and types. */
  readonly specs: ArraySpecs;
  /** What it is trained on; default the task of its head. */
  readonly task?: Task;
  /** Threads and device. */
  readonly engine?: EngineOptions;
}

/**
 * The loss of a model of the library on one batch, without dropout and with running statistics as they are.
 *
 * @returns The surface, and the point where the model is.
 * @throws InputError when the task has no loss, or the batch does not fit the model.
 */
export function modelSurface({ model, batch, specs, task = taskOf(model), engine }: ModelSurfaceOptions): {
  surface: LossSurface;
  point: Float64Array;
} {
  const { loss } = task;
  if (!loss) throw new InputError(`${task.name}: expected a task with a loss, found none`);
  const build = (): LossGraph => {
    const { graph, scope, outputs } = model.build(specs, { dtype: 'float64' });
    const output = outputs[task.output];
    const target = (name: string): Tensor => {
      const { shape, dtype } = specs[name];
      const input = batchInput(name);
      return graph.inputs.get(input) ?? graph.input(input, shape, dtype === 'float32' ? 'float64' : dtype);
    };
    return lossGraph({
      loss: loss(output, target),
      output,
      parameters: scope.parameterInputs,
      curvature: (found, u) => task.curvature(found, u, target),
      perExample: task.losses?.(output, target),
    });
  };
  const feeds: Record<string, TypedArray> = {};
  for (const [name, values] of Object.entries(batch)) {
    feeds[batchInput(name)] = values instanceof Float32Array ? Float64Array.from(values) : values;
  }
  const values = new Map<string, FloatArray>(Array.from(model.weights, ([name, { data }]) => [name, data]));
  for (const [name, data] of values) feeds[weightInput(name)] = Float64Array.from(data);
  const surface = new LossSurface(build, feeds, engine);
  return { surface, point: surface.pointOf(values) };
}
