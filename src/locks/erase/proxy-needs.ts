import type { Dataset } from '../../data/index.js';
import { concat, matMul } from '../../graph/index.js';
import { cholesky, choleskyInverse, multiplyRight } from '../../linalg/index.js';
import { type ModelSpec, pooledLayer, pooledLayers, smallestBatch } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { tasks } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';
import { eachRun, type Reading, type RunContext, type Source } from './runs.js';

/** Added to the second moment of hidden values, as a share of its mean: they are more than examples tell apart. */
const RIDGE = 0.01;

/** What hidden layers hold of examples, centred. */
interface HiddenValues {
  /** `[size, width]` of each layer. */
  readonly layers: readonly Float64Array[];
  readonly widths: readonly number[];
}

/**
 * What an attacker who looks at the hidden layers reads in them of each proxy: of every layer, pooled, a ridge regression on the classes,
 * each of its outputs with a variance of 1.
 *
 * @param proxies - Examples of tasks that an attacker may be after.
 * @returns One source for each proxy.
 * @throws InputError for a proxy whose examples have no classes, and for a model without hidden layers.
 */
export async function proxySources(
  model: ModelSpec,
  params: ParameterSet,
  { proxies, ...context }: { proxies: readonly Dataset[] } & RunContext,
): Promise<Source[]> {
  if (model.build(smallestBatch(model)).scope.hidden.length === 0) {
    throw new InputError('erase: expected a model with hidden layers for proxies to be read in, found none');
  }
  const sources: Source[] = [];
  for (const dataset of proxies) {
    const answers = tasks.get('classification').answers?.(dataset);
    if (!answers || answers.count === 0) {
      throw new InputError(`erase: expected a proxy whose examples have classes, found none in ${dataset.name}`);
    }
    const { layers, widths } = await hiddenValues(model, params, { dataset, ...context });
    const readouts = layers.map((values, index) => classReadout(values, widths[index], answers));
    sources.push({ dataset, reading: readingBy(readouts, widths) });
  }
  return sources;
}

/** Hidden layers, each through a readout `[width, k]`, side by side. */
function readingBy(readouts: readonly Float32Array[], widths: readonly number[]): Reading {
  return {
    of: ({ graph, scope }) =>
      concat(
        scope.hidden.map((layer, index) => {
          const [width, readout] = [widths[index], readouts[index]];
          return matMul(pooledLayer(layer), graph.constant(readout, [width, readout.length / width], layer.dtype));
        }),
        1,
      ),
  };
}

async function hiddenValues(
  model: ModelSpec,
  params: ParameterSet,
  { dataset, ...context }: { dataset: Dataset } & RunContext,
): Promise<HiddenValues> {
  const widths = model.build(smallestBatch(model)).scope.hidden.map((layer) => pooledLayer(layer).shape[1]);
  const layers = widths.map((width) => new Float64Array(dataset.size * width));
  const reading: Reading = { of: ({ scope }) => pooledLayers(scope) };
  const all = widths.reduce((sum, width) => sum + width, 0);
  const source = { reading, dataset, ...context };
  for await (const { positions, results } of eachRun(model, params, source, (specs) => ({
    hidden: reading.of(model.build(specs)),
  }))) {
    const hidden = results.hidden as Float32Array;
    for (const [row, position] of positions.entries()) {
      let from = row * all;
      for (const [index, width] of widths.entries()) {
        layers[index].set(hidden.subarray(from, from + width), position * width);
        from += width;
      }
    }
  }
  layers.forEach((values, index) => void centre(values, widths[index]));
  return { layers, widths };
}

/** Takes the mean out of each column of `[size, width]`. */
function centre(values: Float64Array, width: number): void {
  const size = values.length / width;
  for (let i = 0; i < width; i++) {
    let mean = 0;
    for (let at = i; at < values.length; at += width) mean += values[at] / size;
    for (let at = i; at < values.length; at += width) values[at] -= mean;
  }
}

/**
 * A ridge regression on classes, one against the others, scaled so that each of its outputs has a variance of 1: with S the second moment of the
 * values X, `(S + ridge)⁻¹·Xᵀ·Y`.
 *
 * @param values - Centred, `[size, width]`.
 * @param answers - The class of each example, and how many there are.
 * @returns `[width, k]`; zeros where the values say nothing.
 */
export function classReadout(
  values: Float64Array,
  width: number,
  { of: labels, count: k }: { of: Int32Array; count: number },
): Float32Array {
  const size = labels.length;
  const turned = new Float64Array(values.length);
  for (let row = 0; row < size; row++) {
    for (let i = 0; i < width; i++) turned[i * size + row] = values[row * width + i] / size;
  }
  const moment = new Float64Array(width * width);
  multiplyRight(turned, width, size, values, width, moment);
  let trace = 0;
  for (let i = 0; i < width; i++) trace += moment[i * (width + 1)];
  if (trace === 0) return new Float32Array(width * k);
  const regular = moment.slice();
  for (let i = 0; i < width; i++) regular[i * (width + 1)] += (RIDGE * trace) / width;
  // The values are centred, so that the classes need not be.
  const towards = new Float64Array(width * k);
  for (let i = 0; i < width; i++) {
    for (let row = 0; row < size; row++) towards[i * k + labels[row]] += turned[i * size + row];
  }
  const found = new Float64Array(width * k);
  multiplyRight(choleskyInverse(cholesky(regular, width), width), width, width, towards, k, found);
  const seen = new Float64Array(width * k);
  multiplyRight(moment, width, width, found, k, seen);
  const variances = new Float64Array(k);
  found.forEach((value, at) => {
    variances[at % k] += value * seen[at];
  });
  return Float32Array.from(found, (value, at) => (variances[at % k] > 0 ? value / Math.sqrt(variances[at % k]) : 0));
}
