import { lengthOf } from './balance.js';
import { Linear, type LinearRef, type MutableWeights, valuesOf } from './linear.js';

/** Numbers that are multiplied by one factor. */
export type Place =
  /** Some outputs of a layer, biases included. */
  | { readonly kind: 'outputs'; readonly layer: LinearRef; readonly from: number; readonly count: number }
  /** What a layer multiplies some inputs with. */
  | { readonly kind: 'inputs'; readonly layer: LinearRef; readonly from: number; readonly count: number }
  /** An element of a vector; `offset` is what the network adds to it. */
  | { readonly kind: 'element'; readonly weight: string; readonly at: number; readonly offset: 0 | 1 }
  /** An element of a running variance: `v + ε` is multiplied, by the square of the factor. */
  | { readonly kind: 'variance'; readonly weight: string; readonly at: number };

/** A positive factor that the function does not notice: what is multiplied by it, and what is divided. */
export interface Unit {
  /** What is multiplied. */
  readonly times: readonly Place[];
  /** What is divided. */
  readonly over: readonly Place[];
}

/** A run of neighbouring outputs or inputs of a layer. */
export interface Slot {
  /** The layer. */
  readonly layer: LinearRef;
  /** The first of them. */
  readonly at: number;
}

/** Where any invertible matrix M may stand between layers, together with its inverse. */
export interface Block {
  /** Outputs that M multiplies, `W ← M·W`, biases included. */
  readonly into: readonly Slot[];
  /** Inputs that read them, `W ← W·M⁻¹`. */
  readonly out: readonly Slot[];
  /** Outputs that meet them in a scalar product, `W ← M⁻ᵀ·W`, biases included. */
  readonly dual: readonly Slot[];
}

/** Epsilon of all batch norms. */
const epsilon = 1e-5;

/**
 * Multiplies what a unit multiplies by a positive factor, and divides the rest: the function stays. By a power of two all products
 * stay to the bit, so that the outputs do too as long as no number leaves its type's range; running variances apart.
 */
export function scaleUnit(weights: MutableWeights, { times, over }: Unit, factor: number): void {
  for (const place of times) scalePlace(weights, place, factor);
  for (const place of over) scalePlace(weights, place, 1 / factor);
}

function scalePlace(weights: MutableWeights, place: Place, factor: number): void {
  switch (place.kind) {
    case 'outputs': {
      const layer = new Linear(weights, place.layer);
      layer.setRows(place.from, scaled(layer.rows(place.from, place.count), factor));
      return;
    }
    case 'inputs': {
      const layer = new Linear(weights, withoutBias(place.layer));
      layer.setColumns(place.from, scaled(layer.columns(place.from, place.count), factor));
      return;
    }
    case 'element': {
      const values = valuesOf(weights, place.weight);
      values[place.at] = (values[place.at] + place.offset) * factor - place.offset;
      return;
    }
    case 'variance': {
      const values = valuesOf(weights, place.weight);
      values[place.at] = Math.max((values[place.at] + epsilon) * factor * factor - epsilon, 0);
    }
  }
}

/** What reads inputs needs no bias, which then need not be there. */
function withoutBias({ bias: _, ...layer }: LinearRef): LinearRef {
  return layer;
}

function scaled(values: Float64Array, factor: number): Float64Array {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
  return values;
}

/** Makes what a unit multiplies and what it divides equally long; a unit without one of the two stays as it is. */
export function balanceUnit(weights: MutableWeights, unit: Unit): void {
  const factor = balancing(weights, unit);
  if (factor !== 1) scaleUnit(weights, unit, factor);
}

/** How many numbers a unit multiplies and divides, variances apart. */
export function sizeOfUnit(weights: MutableWeights, { times, over }: Unit): number {
  return valuesAt(weights, [...times, ...over]).length;
}

/** How long both sides of a unit are; 0 of a side that has no weights. */
export function lengthsOfUnit(weights: MutableWeights, { times, over }: Unit): { times: number; over: number } {
  return { times: lengthOf(valuesAt(weights, times)), over: lengthOf(valuesAt(weights, over)) };
}

/** The factor that makes both sides of a unit equally long; 1 where one of them is 0. */
export function balancing(weights: MutableWeights, unit: Unit): number {
  const { times: a, over: b } = lengthsOfUnit(weights, unit);
  return a === 0 || b === 0 ? 1 : Math.sqrt(b / a);
}

/** The numbers at some places, one behind the other, as the network uses them; variances are none of its weights. */
function valuesAt(weights: MutableWeights, places: readonly Place[]): Float64Array {
  const parts = places.map((place): Float64Array => {
    if (place.kind === 'variance') return new Float64Array();
    if (place.kind === 'element') return Float64Array.of(valuesOf(weights, place.weight)[place.at] + place.offset);
    if (place.kind === 'outputs') return new Linear(weights, place.layer).rows(place.from, place.count);
    return new Linear(weights, withoutBias(place.layer)).columns(place.from, place.count);
  });
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Puts a matrix and its inverse between layers, both `[width, width]`. */
export function multiplyBlock(
  weights: MutableWeights,
  { into, out, dual }: Block,
  { matrix, inverse }: { matrix: Float64Array; inverse: Float64Array },
): void {
  const d = Math.sqrt(matrix.length);
  for (const { layer: ref, at } of into) {
    const layer = new Linear(weights, ref);
    layer.setRows(at, product(matrix, layer.rows(at, d), { d, isTurned: false }));
  }
  for (const { layer: ref, at } of dual) {
    const layer = new Linear(weights, ref);
    layer.setRows(at, product(inverse, layer.rows(at, d), { d, isTurned: true }));
  }
  for (const { layer: ref, at } of out) {
    const layer = new Linear(weights, withoutBias(ref));
    const columns = layer.columns(at, d); // [outputs, d]
    const read = new Float64Array(columns.length);
    for (let o = 0; o < layer.outputs; o++) {
      for (let i = 0; i < d; i++) {
        const value = columns[o * d + i];
        for (let j = 0; j < d; j++) read[o * d + j] += value * inverse[i * d + j];
      }
    }
    layer.setColumns(at, read);
  }
}

/** `A·X` or `Aᵀ·X`, A `[d, d]`, X `[d, n]`. */
function product(a: Float64Array, x: Float64Array, { d, isTurned }: { d: number; isTurned: boolean }): Float64Array {
  const n = x.length / d;
  const found = new Float64Array(x.length);
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < d; k++) {
      const factor = isTurned ? a[k * d + i] : a[i * d + k];
      if (factor === 0) continue;
      for (let c = 0; c < n; c++) found[i * n + c] += factor * x[k * n + c];
    }
  }
  return found;
}

/** Names of the weights that a unit touches, without repetitions. */
export function weightsOfUnit({ times, over }: Unit): string[] {
  return [...new Set([...times, ...over].flatMap(namesOfPlace))];
}

function namesOfPlace(place: Place): string[] {
  if (place.kind === 'element' || place.kind === 'variance') return [place.weight];
  const { weight, bias } = place.layer;
  return place.kind === 'outputs' && bias !== undefined ? [weight, bias] : [weight];
}
