import { type EngineOptions, ProgramCache } from '../../engine/index.js';
import { add, cast, div, max, mul, reduceMean, reduceSum, reshape, sqrt, sub, type Tensor } from '../../graph/index.js';
import type { ModelSpec } from '../../models/index.js';
import { type ArraySpecs, batchInput, feedsOf, maskOf } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { TermBatches } from '../term-batches.js';
import { addGradients, gradientOutputs, gradientsIn } from '../term-gradients.js';

/** Squared distance below which there is no direction towards the original. */
const NOWHERE = 1e-24;

/** Name of the batch's array with what a hidden layer of the original holds. */
const original = (layer: number) => `original ${layer}`;

/**
 * How far hidden layers are from the original's on the same examples, and the gradient: the mean over layers of the mean Euclidean length of
 * `h − h₀`, of each example, token that is no padding, or place of an image.
 *
 * @returns `distance`, and `grad <name>` of each parameter; what the original's layers hold are the batch's arrays `original <layer>`.
 */
export function hiddenDistanceGraph(model: ModelSpec, specs: ArraySpecs): Record<string, Tensor> {
  const { graph, scope } = model.build(specs);
  const each = scope.hidden.map((layer, index) => {
    const difference = sub(layer, graph.input(batchInput(original(index)), layer.shape, layer.dtype));
    // The channels of images stand before their places, the width of tokens behind them.
    const squares = reduceSum(mul(difference, difference), { axes: [layer.rank === 3 ? 2 : 1] });
    const lengths = sqrt(max(squares, NOWHERE));
    const mask = layer.rank === 3 ? maskOf(graph) : undefined;
    if (!mask) return reduceMean(lengths);
    const counted = cast(mask, layer.dtype);
    return div(reduceSum(mul(reshape(lengths, mask.shape), counted)), reduceSum(counted));
  });
  if (each.length === 0) {
    throw new InputError(`tar: expected a model with hidden layers, found none of ${model.architecture.name}`);
  }
  const distance = div(
    each.reduce((a, b) => add(a, b)),
    each.length,
  );
  return { distance, ...gradientOutputs(scope, distance) };
}

/** Holds hidden layers near to what they held when this was made. */
export class HiddenDistance {
  readonly #programs: ProgramCache;
  readonly #original: ParameterSet;

  constructor(
    readonly model: ModelSpec,
    params: ParameterSet,
    readonly batches: TermBatches,
    readonly options: { readonly weight: number; readonly engine?: EngineOptions },
  ) {
    this.#programs = new ProgramCache(options.engine);
    this.#original = new Map([...params].map(([name, values]) => [name, values.slice()]));
  }

  /** Adds the gradient of `weight · distance` to that of a step, in place. */
  async pull(params: ParameterSet, gradients: ParameterSet, step: number): Promise<{ hiddenDistance: number }> {
    const { model } = this;
    const { specs, batch } = this.batches.at(step);
    const key = JSON.stringify(specs);
    const held = await this.#programs.get(`held ${key}`, () => {
      const { hidden } = model.build(specs).scope;
      return Object.fromEntries(hidden.map((layer, index) => [batchInput(original(index)), layer]));
    });
    const kept = await held.run(feedsOf(batch, this.#original));
    const program = await this.#programs.get(`distance ${key}`, () => hiddenDistanceGraph(model, specs));
    const results = await program.run({ ...feedsOf(batch, params), ...kept });
    addGradients(gradients, gradientsIn(results), this.options.weight);
    return { hiddenDistance: Number(results.distance[0]) };
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.#programs.release();
  }
}
