import { allocateBatch } from '../data/index.js';
import type { Feeds, Program, ProgramCache, Results } from '../engine/index.js';
import { mul, type Tensor, type TypedArray } from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { type ArraySpecs, type Batch, batchSpecs, feedsOf, type MaskSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type BatchFactors, CurvaturePrograms } from './curvature.js';
import { FactorPrograms } from './kronecker.js';
import { type LossGraph, type LossGraphs, targetsIn, withoutGradients } from './loss-graphs.js';
import type { FactorQuestion, ParameterSet, ParameterShapes } from './optimizers/index.js';
import type { ReferenceReader } from './reference.js';

/** What a run of a step's program found. */
export interface StepRun {
  /** Mean loss of the batch. */
  readonly loss: number;
  /** Whole gradients by parameter; the next run writes over them. */
  readonly gradients: ParameterSet;
  /** All that the program gave. */
  readonly next: Results;
  /** What it cost, in evaluations of the gradient. */
  readonly cost: number;
}

/** Which batches a step is for. */
export interface StepForm {
  /** Names its programs in the cache. */
  readonly key: string;
  /** Arrays of one example, as the examples give them. */
  readonly layout: ArraySpecs;
  /** Arrays of a batch, all that the loss reads. */
  readonly specs: ArraySpecs;
  /** Examples of a batch. */
  readonly count: number;
  readonly cache: ProgramCache;
  readonly reference: ReferenceReader | undefined;
}

/** A forward pass in evaluations of the gradient: the way back is two products for each of the way there. */
const forwardCost = 1 / 3;

/** What factors cost: one evaluation, and a product more for each layer's input and output. */
const factorCost = 5 / 3;

/** A step on batches of one layout: their arrays, which each batch is written into, and the programs that read them. */
export class CompiledStep {
  /** Shapes of the model's parameters, buffers and counters. */
  readonly shapes: ParameterShapes;
  readonly batch: Batch;
  /** Arrays of the batch that the examples give. */
  readonly specs: ArraySpecs;
  /** Arrays of one example of the batch, its target's too. */
  readonly layout: ArraySpecs;
  /** Dropout masks among the batch's arrays. */
  readonly masks: readonly { spec: MaskSpec; values: Float32Array }[];
  /** Tables of embeddings whose gradients are by rows. */
  readonly tables: LossGraph['tables'];
  readonly curvature: CurvaturePrograms;
  /** Parameters whose whole gradient is computed, and their sizes. */
  readonly #trained: ReadonlyMap<string, number>;
  readonly #buffers: readonly string[];
  readonly #counters: readonly string[];
  readonly #factors: FactorPrograms;
  /** The gradients among the results of a program, which fills the same arrays at every run. */
  #gradients: { readonly of: Results; readonly values: ParameterSet } | undefined;
  /** In the place of gradients that were not computed. */
  #zeros: ParameterSet | undefined;

  constructor(
    readonly loss: LossGraphs,
    readonly form: StepForm,
  ) {
    const { key, layout, specs, count, cache, reference } = form;
    const { scope, output, parameters, trained, tables } = loss.build(specs);
    this.shapes = new Map(scope.state.map(({ name, shape }) => [name, shape]));
    this.masks = scope.masks.map((spec) => ({
      spec,
      values: new Float32Array(spec.shape.reduce((product, length) => product * length, 1)),
    }));
    const masks: Record<string, TypedArray> = Object.fromEntries(
      this.masks.map(({ spec, values }) => [spec.name, values]),
    );
    this.batch = { ...allocateBatch(specs), ...masks, ...reference?.arrays(output) };
    this.specs = batchSpecs(layout, count);
    this.layout = { ...layout, ...loss.task.targets(layout) };
    this.tables = tables;
    this.curvature = new CurvaturePrograms(cache, key, () => ({
      ...loss.build(specs, { whole: true }),
      curvature: (found, u) => scaled(loss.task.curvature(found, u, targetsIn(found.graph, specs)), weightOf(loss)),
    }));
    this.#factors = new FactorPrograms(cache, key, (labels) => loss.ofAnswers(specs, labels));
    this.#trained = new Map(trained.map((name) => [name, parameters.get(name)?.size ?? 0]));
    this.#buffers = [...scope.bufferUpdates.keys()];
    this.#counters = scope.state.filter(({ kind }) => kind === 'counter').map(({ name }) => name);
  }

  /** Compiles the program of {@link run}; again where the cache has let it go. */
  compile(): Promise<Program> {
    const { key, specs, cache } = this.form;
    return cache.get(key, () => this.loss.build(specs).outputs);
  }

  /** Loss and gradients. */
  async run(feeds: Feeds): Promise<StepRun> {
    const results = await (await this.compile()).run(feeds);
    if (this.#gradients?.of !== results) {
      const values = Array.from(this.#trained.keys(), (name) => [name, gradientIn(results, name)] as const);
      this.#gradients = { of: results, values: new Map(values) };
    }
    return { loss: Number(results.loss[0]), gradients: this.#gradients.values, next: results, cost: 1 };
  }

  /** The loss without gradients, in whose place are zeros. */
  async runForward(feeds: Feeds): Promise<StepRun> {
    const { key, specs, cache } = this.form;
    const forward = await cache.get(`${key} forward`, () => withoutGradients(this.loss.build(specs).outputs));
    const results = await forward.run(feeds);
    this.#zeros ??= zerosOf(this.#trained);
    return { loss: Number(results.loss[0]), gradients: this.#zeros, next: results, cost: forwardCost };
  }

  /** Moves on running statistics and counts of steps: once a step, however often an optimizer evaluates it. */
  track(params: ParameterSet, next: Results): void {
    for (const name of this.#buffers) params.get(name)?.set(next[`next ${name}`] as Float32Array);
    for (const name of this.#counters) {
      // A file of a PyTorch before 0.4.1 has no counts. Float32 counts exactly to 2^24 steps.
      const count = params.get(name);
      if (count) count[0] += 1;
    }
  }

  /**
   * Factors of the layers, at the batch's answers or at such as the model predicts.
   *
   * @param numbers - Of each example its number in the run, which decides what is drawn for it.
   */
  async factors(
    question: FactorQuestion,
    { feeds, count, numbers }: { feeds: Feeds; count: number; numbers: readonly number[] },
  ): ReturnType<BatchFactors> {
    if (question.labels === 'given') {
      return { factors: await this.#factors.factors(question, { feeds, count, weight: 1 }), cost: factorCost };
    }
    const { task } = this.loss;
    if (!task.drawTargets) {
      throw new InputError(
        `${task.name}: expected a model that predicts answers to draw them, found none; use those given`,
      );
    }
    const { key, specs, cache } = this.form;
    const program = await cache.get(`${key} output`, () => ({ output: this.loss.output(specs) }));
    const values = (await program.run(feeds)).output as Float32Array;
    const streams = numbers.map((number) => new RandomStream(question.seed, 'answers', number));
    const answered = { ...feeds, ...feedsOf(task.drawTargets(values, this.batch, streams), []) };
    const factors = await this.#factors.factors(question, { feeds: answered, count, weight: weightOf(this.loss) });
    return { factors, cost: forwardCost + factorCost };
  }
}

const gradientIn = (results: Results, name: string) => results[`grad ${name}`] as Float32Array;

/** What second derivatives of one example's loss are weighed by. */
function weightOf({ form: { weights } }: LossGraphs): number {
  return weights.task + weights.divergence;
}

/** A product by one would be such a node as ONNX Runtime's optimization breaks. */
function scaled(tensor: Tensor, factor: number): Tensor {
  return factor === 1 ? tensor : mul(tensor, factor);
}

/** Zeros of some sizes by name, all in the memory of the largest. */
function zerosOf(sizes: ReadonlyMap<string, number>): ParameterSet {
  const longest = new Float32Array([...sizes.values()].reduce((most, size) => Math.max(most, size), 0));
  return new Map(Array.from(sizes, ([name, size]) => [name, longest.subarray(0, size)]));
}
