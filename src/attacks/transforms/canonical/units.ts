import type { FlopTally } from '../../../engine/index.js';
import { RandomStream } from '../../../linalg/index.js';
import { type LayerPair, Linear, lengthOf, type MutableWeights } from '../../../symmetries/index.js';
import { addFlops, countedBalanced, uncounted } from '../../preparation/closed-forms.js';

/** Epsilon of all batch norms. */
const epsilon = 1e-5;

/** Units of one direction: of the two, an input gives the same but for a positive factor. */
interface Alike {
  /** Their numbers. */
  readonly units: readonly number[];
  /** By which factor each gives what their common direction does. */
  readonly lengths: readonly number[];
}

/**
 * Units of a pair of layers that give the same, but for a factor where one goes through: how far rows may be apart, as a share of
 * their length, is `tolerance`. Units that give nothing are not among them.
 */
export function alikeUnits(
  weights: MutableWeights,
  { into, between, norm }: LayerPair,
  tolerance: number,
  tally: FlopTally = uncounted(),
): Alike[] {
  if (between === 'nothing') return [];
  const layer = new Linear(weights, into);
  const isScaled = between === 'homogeneous';
  const found = Array.from({ length: layer.outputs }, (_, unit) => {
    const row = effectiveRow(weights, layer, unit, norm);
    const length = lengthOf(row);
    return { unit, row: isScaled && length > 0 ? row.map((value) => value / length) : row, length };
  }).filter(({ length }) => length > 0);
  // Of each row its length, the row by it, and the product with the probe; with a batch norm the row in effect.
  addFlops(tally, layer.outputs * layer.width, norm === undefined ? 5 : 6);
  const [width = 0] = found.map(({ row }) => row.length);
  const probe = new Float64Array(width);
  const stream = new RandomStream(1, 'units');
  for (let i = 0; i < width; i++) probe[i] = stream.normal() / Math.sqrt(width);
  // Rows that are near one another have near products with any one vector: only neighbours are compared.
  const sorted = found
    .map((each) => ({ ...each, at: each.row.reduce((sum, value, i) => sum + value * probe[i], 0) }))
    .toSorted((a, b) => a.at - b.at);
  const reach = lengthOf(probe);
  const taken = new Set<number>();
  const groups: Alike[] = [];
  sorted.forEach((first, index) => {
    if (taken.has(first.unit)) return;
    const near = tolerance * (isScaled ? 1 : first.length);
    const group = [first];
    for (const other of sorted.slice(index + 1)) {
      if (other.at - first.at > near * reach) break;
      addFlops(tally, width, 3);
      if (!taken.has(other.unit) && distance(first.row, other.row) <= near) group.push(other);
    }
    if (group.length === 1) return;
    for (const { unit } of group) taken.add(unit);
    groups.push({ units: group.map(({ unit }) => unit), lengths: group.map(({ length }) => (isScaled ? length : 1)) });
  });
  return groups;
}

function distance(a: Float64Array, b: Float64Array): number {
  return lengthOf(a.map((value, i) => value - b[i]));
}

/** What a unit's inputs are multiplied by, and what is added last, a batch norm included. */
function effectiveRow(weights: MutableWeights, layer: Linear, unit: number, norm: string | undefined): Float64Array {
  const row = layer.rows(unit, 1);
  const whole = layer.hasBias ? row : Float64Array.of(...row, 0);
  if (norm === undefined) return whole;
  const [gain, bias, average, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    (part) => weights.get(`${norm}.${part}`)?.data[unit] ?? Number.NaN,
  );
  const factor = gain / Math.sqrt(variance + epsilon);
  whole[whole.length - 1] -= average;
  const scaled = whole.map((value) => value * factor);
  scaled[scaled.length - 1] += bias;
  return scaled;
}

/**
 * Merges what units that give the same are read with: of all weights out with the same sum the shortest ones, so that what cancelled
 * between them is gone. No unit is left without a part.
 */
export function mergeUnits(
  weights: MutableWeights,
  pair: LayerPair,
  tolerance: number,
  tally: FlopTally = uncounted(),
): void {
  const layer = new Linear(weights, pair.out);
  const kernel = layer.inputs / new Linear(weights, pair.into).outputs;
  for (const { units, lengths } of alikeUnits(weights, pair, tolerance, tally)) {
    const total = new Float64Array(layer.outputs * kernel);
    // Into the sum and out of it.
    addFlops(tally, units.length * total.length, 4);
    units.forEach((unit, at) => {
      layer.columns(unit * kernel, kernel).forEach((value, i) => {
        total[i] += lengths[at] * value;
      });
    });
    const squares = lengths.reduce((sum, length) => sum + length * length, 0);
    units.forEach((unit, at) => {
      layer.setColumns(
        unit * kernel,
        total.map((value) => (value * lengths[at]) / squares),
      );
    });
  }
}

/** Whether a pair is two linear layers without anything between them: any matrix and its inverse may stand there. */
export function isLinearPair(weights: MutableWeights, { into, out, between }: LayerPair): boolean {
  if (between !== 'nothing') return false;
  return new Linear(weights, out).inputs === new Linear(weights, into).outputs;
}

/** Writes two linear layers without anything between them by their product alone. */
export function balanceLinearPair(
  weights: MutableWeights,
  { into, out }: LayerPair,
  tally: FlopTally = uncounted(),
): void {
  const [first, second] = [new Linear(weights, into), new Linear(weights, out)];
  const inner = first.outputs;
  const factors = { left: second.columns(0, inner), right: first.rows(0, inner) };
  const { left, right } = countedBalanced(factors, inner, tally);
  second.setColumns(0, left);
  first.setRows(0, right);
}
