import { z } from 'zod';
import { cloneWeights, type ModelSpec, type StateDict, type Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { balanced, lengthOf } from './canonical/balance.js';
import { Linear, type MutableWeights } from './canonical/linear.js';
import { type LayerPair, layerPairs } from './canonical/pairs.js';
import {
  type AttentionStructure,
  type BatchNormStructure,
  type GateStructure,
  hasStructure,
  type NormStructure,
  structureOf,
} from './canonical/structure.js';
import { alikeUnits, balanceLinearPair, isLinearPair, mergeUnits } from './canonical/units.js';
import type { Transform } from './transform.js';

/** Options of the transform `canonicalize`. */
export const canonicalizeOptions = z.strictObject({
  heads: z
    .boolean()
    .default(true)
    .describe('whether queries and keys, and values and the layer behind them, are balanced head by head'),
  norms: z.boolean().default(true).describe('whether gains of norms move into the layers that read them'),
  gates: z.boolean().default(true).describe('whether the units of gated layers are balanced'),
  units: z
    .boolean()
    .default(true)
    .describe('whether units that give the same are merged, and what cancels between them'),
  layers: z
    .boolean()
    .default(true)
    .describe('whether linear layers with nothing between them are written by their product alone'),
  tolerance: z
    .number()
    .min(0)
    .max(0.1)
    .default(1e-4)
    .describe('how far the weights of units that give the same may be apart, as a share of their length'),
});

/** Epsilon of all batch norms. */
const epsilon = 1e-5;

/**
 * Writes a network in a form that depends on its function alone, as far as its exact symmetries go: whatever stands between
 * queries and keys or values and outputs of a head, in the gains of norms that one layer reads, in the units of gated layers,
 * between linear layers in a row, in units that give the same and cancel, or in the scale of a convolution before batch norm, is
 * taken out, so that a lock that hid there is undone. No data, no training.
 * The function stays to rounding; in training, batch norm's epsilon moves with the scale of what it normalizes.
 *
 * ReLU layers have such a form too; `rescale` finds it.
 *
 * @returns New weights.
 * @throws InputError for a network that has none of these: that would be plain fine-tuning under another name.
 */
export function canonicalizeWeights(
  model: ModelSpec,
  weights: StateDict,
  options: z.output<typeof canonicalizeOptions>,
): Map<string, Weight> {
  const { heads, norms, gates, tolerance } = options;
  const structure = structureOf(model, weights);
  const { alike, linear } = pairsOf(model, weights, options);
  if (!hasStructure(structure) && alike.length + linear.length === 0) {
    throw new InputError(`canonicalize: expected a network with ${wanted}, found none`);
  }
  const changed = cloneWeights(weights);
  for (const pair of linear) balanceLinearPair(changed, pair);
  for (const pair of alike) mergeUnits(changed, pair, tolerance);
  // Norms first: what heads and units are balanced by is then what they read in all.
  if (norms) {
    for (const norm of structure.norms) foldNorm(changed, norm, structure.gainOffset);
    for (const norm of structure.batchNorms) foldGain(changed, norm);
    for (const norm of structure.batchNorms) foldScale(changed, norm);
  }
  if (heads) for (const attention of structure.attentions) balanceHeads(changed, attention, structure.gainOffset);
  if (gates) for (const gate of structure.gates) balanceUnits(changed, gate);
  return changed;
}

const wanted =
  'attention, norms that one layer reads, gated layers, batch norm, units that give the same or linear layers in a row';

/** The pairs of layers with units that give the same, and those with nothing between them. */
function pairsOf(
  model: ModelSpec,
  weights: StateDict,
  { units, layers, tolerance }: z.output<typeof canonicalizeOptions>,
): { readonly alike: readonly LayerPair[]; readonly linear: readonly LayerPair[] } {
  const pairs = layerPairs(model);
  return {
    alike: pairs.filter((pair) => units && alikeUnits(weights, pair, tolerance).length > 0),
    linear: pairs.filter((pair) => layers && isLinearPair(weights, pair)),
  };
}

const values = (weights: MutableWeights, name: string): Float32Array => {
  const data = weights.get(name)?.data;
  if (!data) throw new TypeError(`${name}: expected a weight of the model`);
  return data;
};

/** `W(g·x + b) + c = (W·g)x + (W·b + c)`: the gain becomes 1 and the bias 0. */
function foldNorm(weights: MutableWeights, { gain: name, bias, readers }: NormStructure, offset: 0 | 1): void {
  const gain = values(weights, name);
  for (const ref of readers) {
    const layer = new Linear(weights, ref);
    const matrix = layer.columns(0, layer.inputs);
    if (bias !== undefined) {
      const shift = values(weights, bias);
      layer.addToBias(
        Array.from({ length: layer.outputs }, (_, o) =>
          shift.reduce((sum, value, i) => sum + value * matrix[o * layer.inputs + i], 0),
        ),
      );
    }
    layer.setColumns(
      0,
      matrix.map((value, at) => value * (offset + gain[at % layer.inputs])),
    );
  }
  gain.fill(1 - offset);
  if (bias !== undefined) values(weights, bias).fill(0);
}

/** `conv(relu(γ·x + β))` with `|γ|` taken into the convolution: the gain becomes ±1. A gain of 0 stays. */
function foldGain(weights: MutableWeights, { norm, reader }: BatchNormStructure): void {
  if (!reader) return;
  const [gain, bias] = [values(weights, `${norm}.weight`), values(weights, `${norm}.bias`)];
  const layer = new Linear(weights, reader);
  const kernel = layer.inputs / gain.length;
  gain.forEach((value, channel) => {
    const size = Math.abs(value);
    if (size === 0) return;
    layer.setColumns(
      channel * kernel,
      layer.columns(channel * kernel, kernel).map((weight) => weight * size),
    );
    gain[channel] = Math.sign(value);
    bias[channel] /= size;
  });
}

/** The scale of each channel before batch norm, which divides by it: its running variance becomes 1. */
function foldScale(weights: MutableWeights, { convolution, norm }: BatchNormStructure): void {
  const layer = new Linear(weights, convolution);
  const [average, variance] = ['running_mean', 'running_var'].map((part) => values(weights, `${norm}.${part}`));
  for (let channel = 0; channel < layer.outputs; channel++) {
    const deviation = Math.sqrt(variance[channel] + epsilon);
    layer.setRows(
      channel,
      layer.rows(channel, 1).map((weight) => weight / deviation),
    );
    average[channel] /= deviation;
    variance[channel] = 1 - epsilon;
  }
}

/** `[rows, columns]` as `[columns, rows]`. */
function transposed(matrix: Float64Array, rows: number): Float64Array {
  const columns = matrix.length / rows;
  return Float64Array.from(matrix, (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]);
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Balances all heads of an attention. */
function balanceHeads(weights: MutableWeights, attention: AttentionStructure, offset: 0 | 1): void {
  const { keyHeads, headWidth: d, isRotary, norms } = attention;
  const [value, output] = [attention.value, attention.output].map((ref) => new Linear(weights, ref));
  const queries = attention.queries.map((ref) => new Linear(weights, ref));
  const keys = attention.keys.map((ref) => new Linear(weights, ref));
  // So many heads of queries share one of keys.
  const shared = output.inputs / d / keyHeads;
  if (norms) balanceNorms(weights, norms, offset);
  for (let head = 0; head < keyHeads; head++) {
    const group = Array.from({ length: shared }, (_, index) => (head * shared + index) * d);
    const read = joined(group.map((at) => output.columns(at, d)));
    const mixed = balanced({ left: read, right: value.rows(head * d, d) }, d);
    const size = output.outputs * d;
    group.forEach((at, index) => void output.setColumns(at, mixed.left.subarray(index * size, (index + 1) * size)));
    value.setRows(head * d, mixed.right);
    // Behind a norm of their own, the scale of queries and keys is not theirs.
    if (norms) continue;
    const asked = queries.flatMap((layer) => group.map((at) => ({ layer, at })));
    const given = keys.map((layer) => ({ layer, at: head * d }));
    if (isRotary) balancePairs(asked, given, d);
    else balanceScores(asked, given, d);
  }
}

type Head = readonly { readonly layer: Linear; readonly at: number }[];

/** Queries and keys that meet in products alone: any matrix and its inverse may stand between. */
function balanceScores(queries: Head, keys: Head, d: number): void {
  const asked = joined(queries.map(({ layer, at }) => transposed(layer.rows(at, d), d))); // [inputs, d]
  const given = joined(keys.map(({ layer, at }) => transposed(layer.rows(at, d), d))); // [inputs, d]
  const { left, right } = balanced({ left: asked, right: transposed(given, given.length / d) }, d);
  let done = 0;
  for (const { layer, at } of queries) {
    const part = left.subarray(done, done + layer.width * d);
    layer.setRows(at, transposed(part, layer.width));
    done += part.length;
  }
  const back = transposed(right, d); // [inputs, d]
  done = 0;
  for (const { layer, at } of keys) {
    const part = back.subarray(done, done + layer.width * d);
    layer.setRows(at, transposed(part, layer.width));
    done += part.length;
  }
}

/** Queries and keys that positions turn: a factor for each pair may stand between. */
function balancePairs(queries: Head, keys: Head, d: number): void {
  for (let pair = 0; pair < d / 2; pair++) {
    const places = (heads: Head) =>
      heads.flatMap(({ layer, at }) => [pair, pair + d / 2].map((row) => ({ layer, at: at + row })));
    balanceSides(places(queries), places(keys));
  }
}

/** Multiplies rows of one side and divides those of the other so that both are equally long. */
function balanceSides(one: Head, other: Head): void {
  const [a, b] = [one, other].map((side) => lengthOf(joined(side.map(({ layer, at }) => layer.rows(at, 1)))));
  if (a === 0 || b === 0) return;
  const factor = Math.sqrt(b / a);
  for (const { layer, at } of one) {
    layer.setRows(
      at,
      layer.rows(at, 1).map((value) => value * factor),
    );
  }
  for (const { layer, at } of other) {
    layer.setRows(
      at,
      layer.rows(at, 1).map((value) => value / factor),
    );
  }
}

/** The gains of the norms of queries and keys, which all heads share and positions turn pair by pair. */
function balanceNorms(
  weights: MutableWeights,
  { query, key }: { readonly query: string; readonly key: string },
  offset: 0 | 1,
): void {
  const [q, k] = [values(weights, query), values(weights, key)];
  const half = q.length / 2;
  for (let pair = 0; pair < half; pair++) {
    const places = [pair, pair + half];
    const [a, b] = [q, k].map((gain) => Math.hypot(...places.map((at) => gain[at] + offset)));
    if (a === 0 || b === 0) continue;
    const factor = Math.sqrt(b / a);
    for (const at of places) {
      q[at] = (q[at] + offset) * factor - offset;
      k[at] = (k[at] + offset) / factor - offset;
    }
  }
}

/** A unit of a gated layer: its weights in, which nothing bends, and its weights out are made equally long. */
function balanceUnits(weights: MutableWeights, gate: GateStructure): void {
  const [up, down] = [new Linear(weights, gate.up), new Linear(weights, gate.down)];
  for (let unit = 0; unit < up.outputs; unit++) {
    const [into, out] = [up.rows(unit, 1), down.columns(unit, 1)];
    const [a, b] = [lengthOf(into), lengthOf(out)];
    if (a === 0 || b === 0) continue;
    const factor = Math.sqrt(b / a);
    up.setRows(
      unit,
      into.map((value) => value * factor),
    );
    down.setColumns(
      unit,
      out.map((value) => value / factor),
    );
  }
}

/** Writes a network in a form in which nothing can hide between its layers. */
export const canonicalizeTransform: Transform<z.output<typeof canonicalizeOptions>> = {
  name: 'canonicalize',
  description: 'balance heads and gated units and fold the gains of norms, which leaves the function as it is',
  options: canonicalizeOptions,
  isSeeded: false,
  label: { alone: 'canonicalized', joined: 'canonicalize' },
  doing: 'canonicalizing the weights',
  does: 'balances heads and gated units and folds the gains of norms without changing the function',
  applies: ({ model, weights }, options) => {
    if (hasStructure(structureOf(model, weights))) return undefined;
    const { alike, linear } = pairsOf(model, weights, options);
    return alike.length + linear.length > 0 ? undefined : `finds no ${wanted}`;
  },
  apply: ({ model, weights }, options) => canonicalizeWeights(model, weights, options),
};
