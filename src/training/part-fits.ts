import type { ProgramCache } from '../engine/index.js';
import { Graph, gradients, mul, reduceSum, reshape, sub, type Tensor } from '../graph/index.js';
import { type ModelSpec, type RebuiltModel, sizeOf, smallestBatch } from '../models/index.js';
import { type ArraySpecs, type Batch, batchInput, feedsOf, Scope } from '../nn/index.js';
import type { ParameterSet } from './optimizers/index.js';

/** Names of what a part is fitted to, among the inputs of a batch; `COUNTED`: what the squared error of each token counts. */
const [GIVEN, WANTED, COUNTED] = ['given', 'wanted', 'counted'];

/** Tokens that are computed at once: one program does for texts of any length. */
const rowsAtOnce = 256;

/** What all parts were wrong by on a batch, and how they would be less. */
export interface PartFit {
  /** Mean of {@link losses}. */
  readonly loss: number;
  /** Squared error of each part as a share of the mean square of what it is to give, over the tokens that are no padding. */
  readonly losses: readonly number[];
  /** Gradients of the sum of all shares; arrays are the same in every step. */
  readonly gradients: ParameterSet;
}

/**
 * Fits of the parts of a model that were written otherwise, each by itself, to what the original's read and give (module-wise
 * distillation). All parts have one shape, and so one program.
 */
export class PartFits {
  readonly #gradients: ReadonlyMap<string, Float32Array>;
  readonly #width: number;

  /**
   * @param original - The model that was rebuilt.
   * @param weights - Its weights, not changed.
   * @param rebuilt - What was made of it, and which parameters are to be fitted.
   * @param programs - Where its programs are kept.
   */
  constructor(
    private readonly original: ModelSpec,
    private readonly weights: ParameterSet,
    private readonly rebuilt: RebuiltModel,
    private readonly programs: ProgramCache,
  ) {
    this.#gradients = new Map(rebuilt.added.map((entry) => [entry.name, new Float32Array(sizeOf([entry]))]));
    const { scope } = original.build(smallestBatch(original));
    const [{ input } = { input: undefined }] = scope.parts;
    if (!input) throw new TypeError(`${original.architecture.name}: expected a model with parts, found none`);
    this.#width = input.shape[input.rank - 1];
  }

  /** Losses on a batch of texts, and their gradients. */
  async compute(params: ParameterSet, { specs, batch }: { specs: ArraySpecs; batch: Batch }): Promise<PartFit> {
    const { model, parts } = this.rebuilt;
    const found = await this.#values(specs, batch);
    // Padding is no text.
    const tokens = Array.from(batch.attention_mask, Number).flatMap((real, token) => (real === 1 ? [token] : []));
    const losses: number[] = [];
    for (const [index, part] of parts.entries()) {
      const [given, wanted] = [GIVEN, WANTED].map((name) => found[`${name} ${index}`] as Float32Array);
      // Another model has compiled programs in the same cache.
      const student = await this.programs.get(`part of ${model.digest}`, () => this.#graph());
      let loss = 0;
      const own = this.#ownOf(params, part);
      for (const [, { gradient }] of own) gradient.fill(0);
      for (const fed of this.#chunks(given, wanted, tokens)) {
        const results = await student.run(feedsOf(fed, new Map([...own].map(([name, { values }]) => [name, values]))));
        loss += Number(results.loss[0]);
        for (const [name, { gradient }] of own) add(gradient, results[`grad ${name}`] as Float32Array);
      }
      losses.push(loss);
    }
    const loss = losses.reduce((sum, one) => sum + one, 0) / losses.length;
    return { loss, losses, gradients: this.#gradients };
  }

  /** Parameters of a part and their gradients, by their names within it. */
  #ownOf(params: ParameterSet, part: string) {
    const own = [...this.#gradients].filter(([name]) => name.startsWith(`${part}.`));
    return new Map(
      own.map(([name, gradient]) => [
        name.slice(part.length + 1),
        { gradient, values: params.get(name) ?? new Float32Array() },
      ]),
    );
  }

  /** What the original's parts read and give. */
  async #values(specs: ArraySpecs, batch: Batch) {
    const { original, weights, programs } = this;
    const program = await programs.get(`parts of ${original.digest} ${JSON.stringify(specs)}`, () =>
      Object.fromEntries(
        original.build(specs).scope.parts.flatMap(({ input, output }, index) => [
          [`${GIVEN} ${index}`, input],
          [`${WANTED} ${index}`, output],
        ]),
      ),
    );
    return program.run(feedsOf(batch, weights));
  }

  /** The tokens of a batch, some at a time. */
  *#chunks(given: Float32Array, wanted: Float32Array, tokens: readonly number[]): Generator<Batch> {
    const width = this.#width;
    const rowOf = (values: Float32Array, token: number) => values.subarray(token * width, (token + 1) * width);
    const square = tokens.reduce((sum, token) => sum + rowOf(wanted, token).reduce((own, x) => own + x * x, 0), 0);
    for (let first = 0; first < tokens.length; first += rowsAtOnce) {
      const some = tokens.slice(first, first + rowsAtOnce);
      const fed = {
        [GIVEN]: new Float32Array(rowsAtOnce * width),
        [WANTED]: new Float32Array(rowsAtOnce * width),
        // What gives nothing is fitted at once, and not divided by.
        [COUNTED]: new Float32Array(rowsAtOnce).fill(1 / (square + 1e-12), 0, some.length),
      };
      for (const [row, token] of some.entries()) {
        fed[GIVEN].set(rowOf(given, token), row * width);
        fed[WANTED].set(rowOf(wanted, token), row * width);
      }
      yield fed;
    }
  }

  /** Loss of one part on some tokens, and its gradients by its parameters, which have their names within it. */
  #graph(): Record<string, Tensor> {
    const { architecture, config } = this.rebuilt.model;
    const write = architecture.feedForward?.write;
    if (!write) throw new TypeError(`${architecture.name}: expected an architecture that writes its parts`);
    const graph = new Graph();
    const scope = new Scope(graph);
    const input = (name: string, columns: number) => graph.input(batchInput(name), [rowsAtOnce, columns], 'float32');
    const [given, wanted] = [input(GIVEN, this.#width), input(WANTED, this.#width)];
    const counted = graph.input(batchInput(COUNTED), [rowsAtOnce], 'float32');
    const error = sub(write(scope, given, config), wanted);
    const loss = reduceSum(mul(mul(error, error), reshape(counted, [rowsAtOnce, 1])));
    const parameters = [...scope.parameterInputs];
    const slopes = gradients(
      loss,
      parameters.map(([, parameter]) => parameter),
    );
    const named = parameters.map(([name, parameter], index): [string, Tensor] => [
      `grad ${name}`,
      slopes[index] ?? mul(parameter, 0),
    ]);
    return { loss, ...Object.fromEntries(named) };
  }
}

function add(sum: Float32Array, part: Float32Array): void {
  for (let at = 0; at < sum.length; at++) sum[at] += part[at];
}
