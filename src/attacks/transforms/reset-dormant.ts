import { z } from 'zod';
import { type Dataset, subset } from '../../data/index.js';
import { abs, concat, reduceMean, reshape, type Tensor } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import {
  cloneWeights,
  type ModelSpec,
  parameterSet,
  type StateDict,
  smallestBatch,
  type Weight,
} from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { type LayerPair, Linear, layerPairs } from '../../symmetries/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator } from '../../training/index.js';
import type { Runnable } from '../preparation/bench.js';
import { forwardCost } from '../trial/work.js';
import type { Transform } from './transform.js';

/** Options of the transform `reset-dormant`. */
export const resetDormantOptions = z.strictObject({
  threshold: z
    .number()
    .min(0)
    .lt(1)
    .default(0.025)
    .describe('a unit is dormant that gives at most so large a share of what units of its layer give on average'),
  examples: z.int().min(1).default(256).describe("the attacker's examples that it is measured on, at most"),
});

/** Name of the output that holds how much units give. */
const unitsOutput = 'units';

/** A model whose output is how much each unit of some pairs of layers gives, `[batch, units]`. */
function unitsOf(model: ModelSpec): ModelSpec {
  return {
    ...model,
    digest: `${model.digest} ${unitsOutput}`,
    build(batch, options) {
      const pass = model.build(batch, options);
      const outputs = layerPairs(model, batch).map((pair) => {
        const own = pass.scope.layers.find(({ weight }) => weight === pair.out.weight);
        if (!own) throw new TypeError(`${pair.out.weight}: expected a layer of the model`);
        return magnitudes(own.input, countOf(pass.scope.layers, pair));
      });
      return { ...pass, outputs: { [unitsOutput]: concat(outputs, 1) } };
    },
  };
}

function countOf(layers: ReturnType<ModelSpec['build']>['scope']['layers'], { into }: LayerPair): number {
  const { output, convolution } = layers.find(({ weight }) => weight === into.weight) ?? layers[0];
  return output.shape[convolution ? 1 : output.rank - 1];
}

/** The mean size of each unit of each example: `[batch, units, ...]`, `[batch, tokens, units]` or units times places in a row. */
function magnitudes(x: Tensor, units: number): Tensor {
  const size = abs(x);
  if (x.rank === 4) return reduceMean(size, { axes: [2, 3] });
  if (x.rank === 3) return reduceMean(size, { axes: [1] });
  return reduceMean(reshape(size, [x.shape[0], units, x.shape[1] / units]), { axes: [2] });
}

/** Units of a pair of layers that give next to nothing. */
export interface DormantUnits {
  /** The layer that gives them and the one that reads them. */
  readonly pair: LayerPair;
  /** Their positions in the layer, from 0. */
  readonly units: readonly number[];
}

/**
 * Finds the dormant units of a model: how much a unit gives, averaged over examples and places, as a share of the average of its
 * layer, is at most the threshold.
 *
 * @see Sokar et al., "The Dormant Neuron Phenomenon in Deep Reinforcement Learning", ICML 2023, Definition 3.1.
 */
export async function dormantUnits(
  { model, programs }: Omit<Runnable, 'evaluator'>,
  weights: StateDict,
  dataset: Dataset,
  threshold: number,
): Promise<DormantUnits[]> {
  const pairs = layerPairs(model);
  if (pairs.length === 0) throw new InputError('reset-dormant: expected layers that meet in units, found none');
  const task = { ...taskOf(model), output: unitsOutput };
  const inside = new Evaluator(unitsOf(model), {}, { task, programs });
  let sums = new Float64Array();
  await inside.each(parameterSet(weights), dataset, ({ values, positions }) => {
    const width = values.length / positions.length;
    if (sums.length === 0) sums = new Float64Array(width);
    values.forEach((value, at) => {
      sums[at % width] += Number.isFinite(value) ? value : 0;
    });
  });
  let start = 0;
  return pairs.map((pair) => {
    const own = sums.subarray(start, start + new Linear(weights, pair.into).outputs);
    start += own.length;
    const average = own.reduce((sum, value) => sum + value, 0) / own.length;
    return { pair, units: [...own.keys()].filter((unit) => own[unit] <= threshold * average) };
  });
}

/** Draws what goes into some units anew and sets what they are read with to 0, so that they give nothing yet and can learn. */
export function resetUnits(
  weights: StateDict,
  fresh: StateDict,
  dormant: readonly DormantUnits[],
): Map<string, Weight> {
  const changed = cloneWeights(weights);
  for (const { pair, units } of dormant) {
    const [into, out] = [new Linear(changed, pair.into), new Linear(changed, pair.out)];
    const drawn = new Linear(fresh, pair.into);
    const kernel = out.inputs / into.outputs;
    for (const unit of units) {
      into.setRows(unit, drawn.rows(unit, 1));
      out.setColumns(unit * kernel, new Float64Array(out.outputs * kernel));
      for (const part of pair.norm === undefined ? [] : ['weight', 'bias', 'running_mean', 'running_var']) {
        const name = `${pair.norm}.${part}`;
        const [own, other] = [changed.get(name)?.data, fresh.get(name)?.data];
        if (own && other) own[unit] = other[unit];
      }
    }
  }
  return changed;
}

/** Draws units anew that the attacker's examples leave dormant. */
export const resetDormantTransform: Transform<z.output<typeof resetDormantOptions>> = {
  name: 'reset-dormant',
  description: "draw units anew that give next to nothing on the attacker's examples",
  options: resetDormantOptions,
  isSeeded: true,
  works: true,
  label: { alone: 'dormant units reset', joined: 'reset-dormant' },
  doing: 'drawing dormant units anew',
  does: 'draws units anew that give next to nothing',
  applies: ({ model }) =>
    layerPairs(model, smallestBatch(model)).length > 0 ? undefined : 'finds no layers that meet in units',
  apply: async ({ weights, fresh, bench, seed, charge }, { threshold, examples }) => {
    const { attacked, own, batchSize } = bench();
    const order = new RandomStream(seed, 'dormant').permutation(own.size).slice(0, examples);
    const dormant = await dormantUnits(attacked, weights, subset(own, order), threshold);
    charge({ evaluations: (order.length / batchSize) * forwardCost });
    return resetUnits(weights, fresh(), dormant);
  },
};
