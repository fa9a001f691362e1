import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { cloneWeights, type ModelSpec, type StateDict, type Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import {
  type AttentionStructure,
  type BatchNormStructure,
  balanceUnit,
  balancing,
  hasStructure,
  type JointKind,
  jointsOf,
  type LayerPair,
  Linear,
  layerPairs,
  type MutableWeights,
  type NormStructure,
  scaleUnit,
  sizeOfUnit,
  structureOf,
  type Unit,
  unitsOf,
  valuesOf,
  weightsOfUnit,
} from '../../symmetries/index.js';
import { addFlops, countedBalanced, uncounted } from '../preparation/closed-forms.js';
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
  rectified: z.boolean().default(true).describe('whether the units behind ReLUs without batch norm are balanced'),
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
 * `rescale` does the same for whole layers, and for the scale of the outputs too.
 *
 * @returns New weights.
 * @throws InputError for a network that has none of these: that would be plain fine-tuning under another name.
 */
export function canonicalizeWeights(
  model: ModelSpec,
  weights: StateDict,
  options: z.output<typeof canonicalizeOptions>,
  tally: FlopTally = uncounted(),
): Map<string, Weight> {
  const { heads, norms, gates, rectified, tolerance } = options;
  const structure = structureOf(model, weights);
  const { alike, linear, homogeneous } = pairsOf(model, weights, options, tally);
  if (!hasStructure(structure) && alike.length + linear.length + homogeneous.length === 0) {
    throw new InputError(`canonicalize: expected a network with ${wanted}, found none`);
  }
  const changed = cloneWeights(weights);
  for (const pair of linear) balanceLinearPair(changed, pair, tally);
  for (const pair of alike) mergeUnits(changed, pair, tolerance, tally);
  // Norms first: what heads and units are balanced by is then what they read in all.
  if (norms) {
    for (const norm of structure.norms) foldNorm(changed, norm, structure.gainOffset, tally);
    for (const norm of structure.batchNorms) foldGain(changed, norm, tally);
    for (const norm of structure.batchNorms) foldScale(changed, norm, tally);
  }
  if (heads) for (const attention of structure.attentions) balanceHeads(changed, attention, tally);
  const joints = jointsOf(model, weights);
  const between = (...kinds: readonly JointKind[]) =>
    joints.filter(({ kind }) => kinds.includes(kind)).flatMap((joint) => unitsOf(joint));
  const once = [...(heads ? between('rotary', 'query norms') : []), ...(gates ? between('gates') : [])];
  for (const unit of once) {
    addFlops(tally, sizeOfUnit(changed, unit), balancingOperations);
    balanceUnit(changed, unit);
  }
  return rectified ? balanceChain(changed, between('rectified'), tally) : changed;
}

/** Operations for each number of a unit that is balanced: square, sum, product. */
const balancingOperations = 3;

/** Sweeps over units that hang together, and the largest change of a factor's logarithm that ends them: below what float32 shows. */
const [mostSweeps, settled] = [1000, 1e-8];

/**
 * Balances units behind ReLUs, of which each layer's touch the next one's: over and over, until none moves. What they come to is the one
 * form with the shortest weights, whichever they came from.
 */
function balanceChain(
  weights: ReadonlyMap<string, Weight>,
  units: readonly Unit[],
  tally: FlopTally,
): Map<string, Weight> {
  const changed = new Map(weights);
  const names = new Set(units.flatMap(weightsOfUnit));
  const double = new Map(
    [...weights].flatMap(([name, { shape, data }]) =>
      names.has(name) ? [[name, { shape, data: Float64Array.from(data) }] as const] : [],
    ),
  );
  const size = units.reduce((sum, unit) => sum + sizeOfUnit(weights, unit), 0);
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let moved = 0;
    addFlops(tally, size, balancingOperations);
    for (const unit of units) {
      const factor = balancing(double, unit);
      scaleUnit(double, unit, factor);
      moved = Math.max(moved, Math.abs(Math.log(factor)));
    }
    if (moved < settled) break;
  }
  for (const [name, { shape, data }] of double) changed.set(name, { shape, data: Float32Array.from(data) });
  return changed;
}

const wanted =
  'attention, norms that one layer reads, gated layers, batch norm, units behind ReLUs or linear layers in a row';

/** The pairs of layers with units that give the same, and those with nothing between them. */
function pairsOf(
  model: ModelSpec,
  weights: StateDict,
  { units, layers, rectified, tolerance }: z.output<typeof canonicalizeOptions>,
  tally: FlopTally = uncounted(),
): Record<'alike' | 'linear' | 'homogeneous', readonly LayerPair[]> {
  const pairs = layerPairs(model);
  return {
    alike: pairs.filter((pair) => units && alikeUnits(weights, pair, tolerance, tally).length > 0),
    linear: pairs.filter((pair) => layers && isLinearPair(weights, pair)),
    homogeneous: pairs.filter(({ between, norm }) => rectified && between === 'homogeneous' && norm === undefined),
  };
}

/** `W(g·x + b) + c = (W·g)x + (W·b + c)`: the gain becomes 1 and the bias 0. */
function foldNorm(
  weights: MutableWeights,
  { gain: name, bias, readers }: NormStructure,
  offset: 0 | 1,
  tally: FlopTally,
): void {
  const gain = valuesOf(weights, name);
  for (const ref of readers) {
    const layer = new Linear(weights, ref);
    const matrix = layer.columns(0, layer.inputs);
    addFlops(tally, matrix.length, bias === undefined ? 1 : 3);
    if (bias !== undefined) {
      const shift = Float64Array.from(valuesOf(weights, bias));
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
  if (bias !== undefined) valuesOf(weights, bias).fill(0);
}

/** `conv(relu(γ·x + β))` with `|γ|` taken into the convolution: the gain becomes ±1. A gain of 0 stays. */
function foldGain(weights: MutableWeights, { norm, reader }: BatchNormStructure, tally: FlopTally): void {
  if (!reader) return;
  const [gain, bias] = [valuesOf(weights, `${norm}.weight`), valuesOf(weights, `${norm}.bias`)];
  const layer = new Linear(weights, reader);
  const kernel = layer.inputs / gain.length;
  gain.forEach((value, channel) => {
    const size = Math.abs(value);
    if (size === 0) return;
    addFlops(tally, kernel * layer.outputs);
    layer.setColumns(
      channel * kernel,
      layer.columns(channel * kernel, kernel).map((weight) => weight * size),
    );
    gain[channel] = Math.sign(value);
    bias[channel] /= size;
  });
}

/** The scale of each channel before batch norm, which divides by it: its running variance becomes 1. */
function foldScale(weights: MutableWeights, { convolution, norm }: BatchNormStructure, tally: FlopTally): void {
  const layer = new Linear(weights, convolution);
  addFlops(tally, layer.outputs * layer.width);
  const [average, variance] = ['running_mean', 'running_var'].map((part) => valuesOf(weights, `${norm}.${part}`));
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
function balanceHeads(weights: MutableWeights, attention: AttentionStructure, tally: FlopTally): void {
  const { keyHeads, headWidth: d, isRotary, norms } = attention;
  const [value, output] = [attention.value, attention.output].map((ref) => new Linear(weights, ref));
  const queries = attention.queries.map((ref) => new Linear(weights, ref));
  const keys = attention.keys.map((ref) => new Linear(weights, ref));
  // So many heads of queries share one of keys.
  const shared = output.inputs / d / keyHeads;
  for (let head = 0; head < keyHeads; head++) {
    const group = Array.from({ length: shared }, (_, index) => (head * shared + index) * d);
    const read = joined(group.map((at) => output.columns(at, d)));
    const mixed = countedBalanced({ left: read, right: value.rows(head * d, d) }, d, tally);
    const size = output.outputs * d;
    group.forEach((at, index) => void output.setColumns(at, mixed.left.subarray(index * size, (index + 1) * size)));
    value.setRows(head * d, mixed.right);
    // Behind a norm of their own, or turned by positions, they have factors alone between them.
    if (norms || isRotary) continue;
    const asked = queries.flatMap((layer) => group.map((at) => ({ layer, at })));
    const given = keys.map((layer) => ({ layer, at: head * d }));
    balanceScores(asked, given, d, tally);
  }
}

type Head = readonly { readonly layer: Linear; readonly at: number }[];

/** Queries and keys that meet in products alone: any matrix and its inverse may stand between. */
function balanceScores(queries: Head, keys: Head, d: number, tally: FlopTally): void {
  const asked = joined(queries.map(({ layer, at }) => transposed(layer.rows(at, d), d))); // [inputs, d]
  const given = joined(keys.map(({ layer, at }) => transposed(layer.rows(at, d), d))); // [inputs, d]
  const { left, right } = countedBalanced({ left: asked, right: transposed(given, given.length / d) }, d, tally);
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

/** Writes a network in a form in which nothing can hide between its layers. */
export const canonicalizeTransform: Transform<z.output<typeof canonicalizeOptions>> = {
  name: 'canonicalize',
  alsoOnRandom: true,
  description:
    'balance heads, units and layers, fold the gains of norms and merge equal units, which leaves the function as it is',
  options: canonicalizeOptions,
  isSeeded: false,
  label: { alone: 'canonicalized', joined: 'canonicalize' },
  doing: 'canonicalizing the weights',
  does: 'balances heads, units and layers, folds the gains of norms and merges equal units without changing the function',
  applies: ({ model, weights }, options) => {
    if (hasStructure(structureOf(model, weights))) return undefined;
    const { alike, linear, homogeneous } = pairsOf(model, weights, options);
    return alike.length + linear.length + homogeneous.length > 0 ? undefined : `finds no ${wanted}`;
  },
  apply: ({ model, weights, tally }, options) => canonicalizeWeights(model, weights, options, tally),
};
