import { type EngineOptions, ProgramCache } from '../../engine/index.js';
import { Graph, gradients, mul, reduceSum, reshape, sub, type Tensor } from '../../graph/index.js';
import { type ModelSpec, modelState } from '../../models/index.js';
import {
  type ActivationName,
  type ArraySpecs,
  type Batch,
  batchInput,
  deepLowRank,
  feedsOf,
  type LayerUse,
  Scope,
} from '../../nn/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { TermBatch } from '../term-batches.js';
import { type DeepModel, sizeOf } from './deep-model.js';

/** Names of what a network is fitted to, among the inputs of a batch; `COUNTED`: what the squared error of each row counts. */
const [GIVEN, WANTED, COUNTED] = ['given', 'wanted', 'counted'];

/** Tokens that are computed at once: one program does for texts of any length. */
const rowsAtOnce = 256;

/** What all networks were wrong by on a batch, and how they would be less. */
export interface FitStep {
  /** Mean over the networks of the squared error as a share of the mean square of what is wanted. */
  readonly loss: number;
  /** The same of each network, the first block's first. */
  readonly losses: readonly number[];
  /** Gradients of the sum of all shares; arrays are the same in every step. */
  readonly gradients: ParameterSet;
}

/**
 * Fits of deep networks, each by itself, to what the feed-forward layer in its place reads and gives in the original (module-wise
 * distillation). All networks have one shape, and so one program.
 */
export class ModuleFits {
  readonly #programs: ProgramCache;
  readonly #gradients: Map<string, Float32Array>;
  readonly #activation: ActivationName;

  /**
   * @param original - The model whose layers they stand in the place of.
   * @param weights - Its weights, not changed.
   */
  constructor(
    readonly original: ModelSpec,
    readonly weights: ParameterSet,
    readonly deep: DeepModel,
    engine?: EngineOptions,
  ) {
    const { architecture, config } = original;
    if (!architecture.deepForm) throw new TypeError(`${architecture.name}: expected an architecture with a deep form`);
    this.#activation = architecture.deepForm.activation(config);
    this.#programs = new ProgramCache(engine);
    this.#gradients = new Map(deep.added.map((entry) => [entry.name, new Float32Array(sizeOf([entry]))]));
  }

  /** Losses on a batch, and their gradients. */
  async compute(params: ParameterSet, { specs, batch }: TermBatch): Promise<FitStep> {
    const { layers } = this.deep;
    const found = await this.#layerValues(specs, batch);
    // Padding is no text.
    const tokens = Array.from(batch.attention_mask, Number).flatMap((real, token) => (real === 1 ? [token] : []));
    const losses: number[] = [];
    for (const [index, { deep }] of layers.entries()) {
      const [given, wanted] = [GIVEN, WANTED].map((name) => found[`${name} ${index}`] as Float32Array);
      losses.push(await this.#fit(ownParameters(params, deep), { deep, given, wanted, tokens }));
    }
    const loss = losses.reduce((sum, one) => sum + one, 0) / losses.length;
    return { loss, losses, gradients: this.#gradients };
  }

  /** Frees its programs. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  /** What the original's layers read and give. */
  async #layerValues(specs: ArraySpecs, batch: Batch) {
    const { original, deep, weights } = this;
    const teacher = await this.#programs.get(`original ${JSON.stringify(specs)}`, () => {
      const { scope } = original.build(specs);
      const useOf = (weight: string): LayerUse => {
        const use = scope.layers.find((layer) => layer.weight === weight);
        if (!use) throw new TypeError(`${weight}: expected the weight of a linear layer`);
        return use;
      };
      return Object.fromEntries(
        deep.layers.flatMap(({ first, last }, index) => [
          [`${GIVEN} ${index}`, useOf(first).input],
          [`${WANTED} ${index}`, useOf(last).output],
        ]),
      );
    });
    return teacher.run(feedsOf(batch, weights));
  }

  /** Loss of one network; its gradients are kept. */
  async #fit(
    params: ParameterSet,
    {
      deep,
      given,
      wanted,
      tokens,
    }: { deep: string; given: Float32Array; wanted: Float32Array; tokens: readonly number[] },
  ): Promise<number> {
    const width = this.#width();
    const rowOf = (values: Float32Array, token: number) => values.subarray(token * width, (token + 1) * width);
    const square = tokens.reduce((sum, token) => sum + rowOf(wanted, token).reduce((own, x) => own + x * x, 0), 0);
    const student = await this.#programs.get('network', () => this.#fitGraph());
    const own = [...params.keys()].map((name) => [name, this.#gradients.get(`${deep}.${name}`)] as const);
    for (const [, gradient] of own) gradient?.fill(0);
    let loss = 0;
    for (let first = 0; first < tokens.length; first += rowsAtOnce) {
      const some = tokens.slice(first, first + rowsAtOnce);
      const fed = {
        [GIVEN]: new Float32Array(rowsAtOnce * width),
        [WANTED]: new Float32Array(rowsAtOnce * width),
        [COUNTED]: new Float32Array(rowsAtOnce).fill(1 / (square + 1e-12), 0, some.length),
      };
      for (const [row, token] of some.entries()) {
        fed[GIVEN].set(rowOf(given, token), row * width);
        fed[WANTED].set(rowOf(wanted, token), row * width);
      }
      const results = await student.run(feedsOf(fed, params));
      loss += Number(results.loss[0]);
      for (const [name, gradient] of own) {
        const part = results[`grad ${name}`];
        gradient?.forEach((value, at) => {
          gradient[at] = value + Number(part[at]);
        });
      }
    }
    return loss;
  }

  /** Loss of one network on some tokens, and its gradients by its parameters, which have their names within it. */
  #fitGraph(): Record<string, Tensor> {
    const graph = new Graph();
    const scope = new Scope(graph);
    const width = this.#width();
    const input = (name: string, columns: number) => graph.input(batchInput(name), [rowsAtOnce, columns], 'float32');
    const [given, wanted] = [input(GIVEN, width), input(WANTED, width)];
    const counted = reshape(graph.input(batchInput(COUNTED), [rowsAtOnce], 'float32'), [rowsAtOnce, 1]);
    const error = sub(deepLowRank(scope, given, { ...this.deep.shape, activation: this.#activation }), wanted);
    const loss = reduceSum(mul(mul(error, error), counted));
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

  /** Width of what the networks read. */
  #width(): number {
    const [{ deep }] = this.deep.layers;
    const { shape } = this.deep.added.find(({ name }) => name === `${deep}.0.down.weight`) ?? { shape: [0, 0] };
    return shape[1];
  }
}

/** Parameters of one network by their names within it. */
function ownParameters(params: ParameterSet, deep: string): Map<string, Float32Array> {
  const prefix = `${deep}.`;
  return new Map(
    [...params].flatMap(([name, values]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), values]] : [])),
  );
}

/** Numbers that training holds of each token for a feed-forward layer, and for the network in its place. */
export function heldByToken(original: ModelSpec, deep: DeepModel): { before: number; after: number } {
  const widths = new Map(modelState(original).map(({ name, shape }) => [name, shape]));
  const [{ first }] = deep.layers;
  const [inner, width] = widths.get(first) ?? [0, 0];
  const { depth, rank } = deep.shape;
  // What each linear layer reads, and what each activation does.
  return { before: width + 2 * inner, after: depth * (width + 2 * rank) };
}
