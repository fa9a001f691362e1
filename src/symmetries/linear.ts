import type { WeightShapes } from '../models/index.js';

/** Values of a weight: float32 as models hold them, or float64, in which an exact symmetry is exact to its rounding. */
export type Values = Float32Array | Float64Array;

/** Weights that are changed in place: a state dict, or a part of one, or a copy in double precision. */
export type MutableWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Values }>;

/** A linear layer, or some of its outputs. */
export interface LinearRef {
  /** Name of its weight, `[out, in]` or, transposed, `[in, out]`. */
  readonly weight: string;
  /** Name of its bias; none where it has none. */
  readonly bias?: string;
  /** Whether the weight is stored as `[in, out]`. */
  readonly isTransposed?: boolean;
  /** First of the outputs that are meant; default 0. */
  readonly offset?: number;
}

function weightOf<Weight>(weights: ReadonlyMap<string, Weight>, name: string): Weight {
  const weight = weights.get(name);
  if (!weight) throw new TypeError(`${name}: expected a weight of the model`);
  return weight;
}

/** The values of a weight, to be changed in place. */
export function valuesOf(weights: MutableWeights, name: string): Values {
  return weightOf(weights, name).data;
}

/** Outputs and inputs of a linear layer, the bias not counted, by the shape of its weight. */
export function sidesOf(weights: WeightShapes, { weight, isTransposed = false }: LinearRef) {
  const { shape } = weightOf(weights, weight);
  const outputs = shape[isTransposed ? 1 : 0];
  return { outputs, inputs: shape.reduce((product, length) => product * length, 1) / outputs };
}

/** A linear layer seen as a matrix of outputs by inputs, in double precision. */
export class Linear {
  /** All outputs of the stored weight. */
  readonly outputs: number;
  /** Inputs, the bias not counted; of a convolution its channels times its kernel. */
  readonly inputs: number;
  readonly #data: Values;
  readonly #bias: Values | undefined;
  readonly #strides: readonly [number, number];
  readonly #offset: number;

  constructor(weights: MutableWeights, layer: LinearRef) {
    const { weight, bias, isTransposed = false, offset = 0 } = layer;
    const { outputs, inputs } = sidesOf(weights, layer);
    this.outputs = outputs;
    this.inputs = inputs;
    this.#strides = isTransposed ? [1, this.outputs] : [this.inputs, 1];
    this.#data = valuesOf(weights, weight);
    this.#bias = bias === undefined ? undefined : valuesOf(weights, bias);
    this.#offset = offset;
  }

  /** Whether it has a bias. */
  get hasBias(): boolean {
    return this.#bias !== undefined;
  }

  /** Length of a row of {@link rows}. */
  get width(): number {
    return this.inputs + Number(this.hasBias);
  }

  /** Some outputs, a row each with the bias last, `[count, width]`. */
  rows(from: number, count: number): Float64Array {
    const [perRow, perColumn] = this.#strides;
    const found = new Float64Array(count * this.width);
    for (let r = 0, at = 0; r < count; r++) {
      const output = this.#offset + from + r;
      for (let i = 0; i < this.inputs; i++) found[at++] = this.#data[output * perRow + i * perColumn];
      if (this.#bias) found[at++] = this.#bias[output];
    }
    return found;
  }

  /** Overwrites them. */
  setRows(from: number, rows: Float64Array): void {
    const [perRow, perColumn] = this.#strides;
    const count = rows.length / this.width;
    for (let r = 0, at = 0; r < count; r++) {
      const output = this.#offset + from + r;
      for (let i = 0; i < this.inputs; i++) this.#data[output * perRow + i * perColumn] = rows[at++];
      if (this.#bias) this.#bias[output] = rows[at++];
    }
  }

  /** The weights of some inputs, `[outputs, count]`. */
  columns(from: number, count: number): Float64Array {
    const [perRow, perColumn] = this.#strides;
    const found = new Float64Array(this.outputs * count);
    for (let o = 0; o < this.outputs; o++) {
      for (let c = 0; c < count; c++) found[o * count + c] = this.#data[o * perRow + (from + c) * perColumn];
    }
    return found;
  }

  /** Overwrites them. */
  setColumns(from: number, columns: Float64Array): void {
    const [perRow, perColumn] = this.#strides;
    const count = columns.length / this.outputs;
    for (let o = 0; o < this.outputs; o++) {
      for (let c = 0; c < count; c++) this.#data[o * perRow + (from + c) * perColumn] = columns[o * count + c];
    }
  }

  /** Adds to the biases of all outputs. */
  addToBias(values: ArrayLike<number>): void {
    const bias = this.#bias;
    if (!bias) throw new TypeError('expected a layer with a bias');
    for (let o = 0; o < bias.length; o++) bias[o] += values[o];
  }
}
