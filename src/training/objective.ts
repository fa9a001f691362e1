import { type BatchBuffers, BatchOrder, batchBuffers, type Dataset, gatherBatch } from '../data/index.js';
import { type EngineOptions, type Feeds, type Program, ProgramCache, type Results } from '../engine/index.js';
import {
  add,
  ancestors,
  crossEntropy,
  gradients,
  klDivergence,
  mul,
  type Tensor,
  type TypedArray,
} from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { buildForward, type ModelSpec } from '../models/index.js';
import type { MaskSpec } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { BatchOracle, CurvaturePrograms } from './curvature.js';
import type { ParameterSet, ParameterShapes, StepOracle } from './optimizers/index.js';

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
  /** Frees the compiled program, unless it belongs to a cache. */
  release(): Promise<void>;
}

/** Weights of the parts of a loss; a part with weight 0 is not computed. */
export interface LossWeights {
  /** Cross entropy with the labels; default 1. */
  task?: number;
  /** KL divergence to reference logits; default 0. */
  kl?: number;
}

/** Options of {@link createObjective}. */
export interface ObjectiveOptions {
  /** The model's architecture and configuration. */
  model: ModelSpec;
  /** Training examples. */
  dataset: Dataset;
  /** Examples a step; at most the data set's size is used. */
  batchSize: number;
  /** Decides shuffles and dropout. */
  seed: number;
  /** Parts of the loss; default the task loss alone. */
  loss?: LossWeights;
  /** Logits `[size, classes]` of the model whose behaviour is kept; needed for the KL part. */
  referenceLogits?: Float32Array;
  /** Threads and device. */
  engine?: EngineOptions;
  /** Shares the compiled program with other objectives of the same model, batch size and loss; `engine` is then the cache's. */
  programs?: ProgramCache;
}

/**
 * A classifier's loss on shuffled batches of a data set: `task · cross entropy + kl · KL(reference ‖ model)`.
 *
 * @throws InputError when the data set does not fit the model, or reference logits are missing.
 * @throws GraphError when the architecture cannot be built.
 */
export async function createObjective({
  model,
  dataset,
  batchSize,
  seed,
  loss: { task = 1, kl = 0 } = {},
  referenceLogits,
  engine,
  programs,
}: ObjectiveOptions): Promise<Objective> {
  requireFit(model, dataset);
  const classes = model.architecture.classes(model.config);
  if (kl !== 0 && referenceLogits?.length !== dataset.size * classes) {
    const found = referenceLogits ? `${referenceLogits.length}` : 'none';
    throw new InputError(
      `objective: expected ${dataset.size} × ${classes} reference logits for the KL part, got ${found}`,
    );
  }
  if (kl !== 0 && dataset.examples.augmented) {
    throw new InputError(
      `${dataset.name}: expected examples without crop and flip for the KL part, whose reference logits are those of the plain ones`,
    );
  }
  if (task === 0 && kl === 0) throw new InputError('objective: expected a task or a KL weight other than 0');
  const size = Math.min(batchSize, dataset.size);
  const built = buildLoss(model, size, task, kl);
  const cache = programs ?? new ProgramCache(engine);
  const key = JSON.stringify(['objective', model.architecture.name, model.config, size, task, kl]);
  const curvature = new CurvaturePrograms(cache, key, () => buildLoss(model, size, task, kl));
  return new BatchObjective(
    await cache.get(key, () => built.outputs),
    dataset,
    new BatchOrder(dataset.size, size, seed),
    {
      masks: built.masks,
      referenceLogits: kl !== 0 ? referenceLogits : undefined,
      names: built.names,
      shapes: built.shapes,
      curvature,
      buffers: built.buffers,
      counters: built.counters,
      release: programs ? undefined : () => cache.release(),
    },
  );
}

/** The graph of loss, gradients and next buffers; which parameters have a gradient, and what else a step changes. */
function buildLoss(model: ModelSpec, size: number, task: number, kl: number) {
  const { graph, scope, logits } = buildForward(model, size, true);
  const parts: Tensor[] = [];
  if (task !== 0) parts.push(mul(crossEntropy(logits, graph.input('labels', [size], 'int32')), task));
  if (kl !== 0) parts.push(mul(klDivergence(logits, graph.input('reference', logits.shape)), kl));
  const loss = parts.reduce((a, b) => add(a, b));
  const names = [...scope.parameterInputs.keys()];
  const found = gradients(loss, [...scope.parameterInputs.values()]);
  const outputs: Record<string, Tensor> = { loss };
  names.forEach((name, index) => {
    const gradient = found[index];
    if (gradient) outputs[`grad ${name}`] = gradient;
  });
  for (const [name, value] of scope.bufferUpdates) outputs[`next ${name}`] = value;
  return {
    outputs,
    masks: scope.masks,
    names: names.filter((_, index) => found[index]),
    logits,
    parameters: scope.parameterInputs,
    // Buffers and counters too: a run gives an optimizer all that it holds.
    shapes: new Map(scope.state.map(({ name, shape }) => [name, shape])),
    weight: task + kl,
    buffers: [...scope.bufferUpdates.keys()],
    counters: scope.state.filter(({ kind }) => kind === 'counter').map(({ name }) => name),
  };
}

/**
 * Bytes that one step's tensors take at most, parameters and gradients included: the sum over the graph, of which ONNX
 * Runtime reuses a part.
 */
export function stepBytes(model: ModelSpec, batchSize: number, { task = 1, kl = 0 }: LossWeights = {}): number {
  const outputs = Object.values(buildLoss(model, batchSize, task, kl).outputs);
  const inputs = [...outputs[0].graph.inputs.values()];
  const computed = ancestors(outputs).flatMap((node) => node.outputs);
  // All element types here are float32 or int32 but for the pool's int64 indices; four bytes are near enough.
  return 4 * [...inputs, ...computed].reduce((sum, tensor) => sum + tensor.size, 0);
}

/** Refuses a data set whose examples or labels the model cannot take. */
export function requireFit({ architecture, config }: ModelSpec, dataset: Dataset): void {
  const expected = architecture.inputShape(config);
  if (String(expected) !== String(dataset.inputShape)) {
    throw new InputError(
      `${dataset.name}: expected examples of shape [${expected}] for the model, found [${dataset.inputShape}]`,
    );
  }
  if (dataset.classes.length > architecture.classes(config)) {
    const classes = architecture.classes(config);
    throw new InputError(
      `${dataset.name}: expected at most ${classes} classes for the model, found ${dataset.classes.length}`,
    );
  }
  if (dataset.size === 0) throw new InputError(`${dataset.name}: expected at least one example, found none`);
}

/**
 * Refuses a data set that the model cannot take, or a batch with which it cannot be trained: ask before any work.
 *
 * @throws InputError saying what does not fit.
 */
export function requireTrainable(model: ModelSpec, dataset: Dataset, batchSize: number): void {
  requireFit(model, dataset);
  buildForward(model, Math.min(batchSize, dataset.size), true);
}

class BatchObjective implements Objective {
  readonly stepsPerEpoch: number;
  readonly shapes: ParameterShapes;
  readonly #batch: BatchBuffers;
  readonly #masks: readonly { spec: MaskSpec; values: Float32Array }[];
  readonly #reference: Float32Array | undefined;
  #gradients: ParameterSet | undefined;

  constructor(
    readonly program: Program,
    readonly dataset: Dataset,
    readonly order: BatchOrder,
    readonly parts: {
      masks: readonly MaskSpec[];
      referenceLogits?: Float32Array;
      names: readonly string[];
      shapes: ParameterShapes;
      curvature: CurvaturePrograms;
      buffers: readonly string[];
      counters: readonly string[];
      release?: () => Promise<void>;
    },
  ) {
    this.stepsPerEpoch = order.stepsPerEpoch;
    this.shapes = parts.shapes;
    this.#batch = batchBuffers(dataset, order.batchSize);
    this.#masks = parts.masks.map((spec) => ({
      spec,
      values: new Float32Array(spec.shape.reduce((product, length) => product * length, 1)),
    }));
    if (parts.referenceLogits) {
      this.#reference = new Float32Array((parts.referenceLogits.length / dataset.size) * order.batchSize);
    }
  }

  async compute(params: ParameterSet, step: number): Promise<StepResult> {
    const { positions, inputs, labels } = this.#batch;
    this.order.positions(step, positions);
    const { examples } = this.dataset;
    gatherBatch(
      this.dataset,
      this.#batch,
      examples.augmented ? new RandomStream(this.order.seed, 'augmentation', step) : undefined,
    );
    const feeds: Record<string, TypedArray> = { x: inputs, labels };
    const { referenceLogits } = this.parts;
    if (referenceLogits && this.#reference) {
      const classes = this.#reference.length / positions.length;
      for (let row = 0; row < positions.length; row++) {
        const from = positions[row] * classes;
        this.#reference.set(referenceLogits.subarray(from, from + classes), row * classes);
      }
      feeds.reference = this.#reference;
    }
    for (const { spec, values } of this.#masks) {
      new RandomStream(this.order.seed, spec.name, step).fillBernoulli(
        values,
        spec.keepProbability,
        1 / spec.keepProbability,
      );
      feeds[spec.name] = values;
    }
    for (const [name, values] of params) feeds[name] = values;
    const { loss, gradients, next } = await this.#run(feeds);
    this.#track(params, next);
    const oracle = new BatchOracle(loss, feeds, () => this.#run(feeds), this.parts.curvature);
    return { loss, gradients, oracle };
  }

  async #run(feeds: Feeds): Promise<{ loss: number; gradients: ParameterSet; next: Results }> {
    const results = await this.program.run(feeds);
    // The program fills the same arrays at every run, so the map is made once.
    this.#gradients ??= new Map(this.parts.names.map((name) => [name, results[`grad ${name}`] as Float32Array]));
    return { loss: Number(results.loss[0]), gradients: this.#gradients, next: results };
  }

  /** Moves on running statistics and counts of steps: once a step, however often an optimizer evaluates it. */
  #track(params: ParameterSet, next: Results): void {
    for (const name of this.parts.buffers) params.get(name)?.set(next[`next ${name}`] as Float32Array);
    for (const name of this.parts.counters) {
      // A file of a PyTorch before 0.4.1 has no counts. Float32 counts exactly to 2^24 steps.
      const count = params.get(name);
      if (count) count[0] += 1;
    }
  }

  async release(): Promise<void> {
    await this.parts.release?.();
  }
}
