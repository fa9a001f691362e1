import { RandomStream } from '../../linalg/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { Trainable } from './trainable.js';

/** A weight that gets factors, seen as a matrix `[rows, columns]`, outputs by inputs. */
export interface FactoredWeight {
  /** Its name. */
  readonly name: string;
  /** Outputs. */
  readonly rows: number;
  /** Inputs; of a convolution `in·kh·kw`. */
  readonly columns: number;
  /** Whether it lies in memory as `[columns, rows]`, as in transformers' `Conv1D`. */
  readonly isTransposed: boolean;
}

/** What {@link lowRank} makes. */
export interface LowRankOptions {
  /** Rank of the factors. */
  readonly rank: number;
  /** The product of the factors is multiplied by `alpha / rank`. */
  readonly alpha: number;
  /** Whether the length of each row is trained beside its direction (DoRA). */
  readonly magnitudes: boolean;
  /** Decides the first values of A. */
  readonly seed: number;
}

/**
 * Factors beside frozen weights: `W = W₀ + (alpha / rank)·B·A`, A `[rank, columns]` first uniform as PyTorch's linear layers,
 * B `[rows, rank]` first 0, so that the model is at first what it was. With `magnitudes`, `W = m · V / ‖V‖` row by row, V the
 * above and m `[rows]` first the lengths of W₀'s rows; a gradient takes ‖V‖ for a constant, as the paper does (section 4.3).
 *
 * @param weights - The model's own arrays: they follow the factors.
 * @see Hu et al., "LoRA", ICLR 2022; Liu et al., "DoRA", ICML 2024; peft's `LoraLayer`, whose names the factors have.
 */
export function lowRank(
  weights: ParameterSet,
  factored: readonly FactoredWeight[],
  { rank, alpha, magnitudes, seed }: LowRankOptions,
): Trainable {
  const layers = factored.map((weight) => {
    const data = weights.get(weight.name);
    if (!data) throw new TypeError(`${weight.name}: expected a weight of the model`);
    return new Factors(data, weight, { rank, alpha, magnitudes, seed });
  });
  return {
    params: new Map(layers.flatMap((layer) => [...layer.params])),
    shapes: new Map(layers.flatMap((layer) => [...layer.shapes])),
    gradients: (ofModel) => new Map(layers.flatMap((layer) => [...layer.gradients(ofModel)])),
    write: () => {
      for (const layer of layers) layer.write();
    },
  };
}

/** The factors of one weight. */
class Factors {
  readonly params: Map<string, Float32Array>;
  readonly shapes: Map<string, readonly number[]>;
  readonly #name: string;
  readonly #rows: number;
  readonly #columns: number;
  /** Distance in memory of two rows, and of two columns. */
  readonly #strides: readonly [number, number];
  readonly #rank: number;
  readonly #scale: number;
  readonly #weight: Float32Array;
  readonly #frozen: Float32Array;
  readonly #a: Float32Array;
  readonly #b: Float32Array;
  readonly #magnitude: Float32Array | undefined;

  constructor(
    weight: Float32Array,
    { name, rows, columns, isTransposed }: FactoredWeight,
    { rank, alpha, magnitudes, seed }: LowRankOptions,
  ) {
    this.#name = name;
    this.#rows = rows;
    this.#columns = columns;
    this.#strides = isTransposed ? [1, rows] : [columns, 1];
    this.#rank = rank;
    this.#scale = alpha / rank;
    this.#weight = weight;
    this.#frozen = weight.slice();
    this.#a = new Float32Array(rank * columns);
    new RandomStream(seed, `lora/${name}`).fillUniform(this.#a, -1 / Math.sqrt(columns), 1 / Math.sqrt(columns));
    this.#b = new Float32Array(rows * rank);
    const module = name.replace(/\.weight$/, '');
    this.params = new Map([
      [`${module}.lora_A.weight`, this.#a],
      [`${module}.lora_B.weight`, this.#b],
    ]);
    this.shapes = new Map([
      [`${module}.lora_A.weight`, [rank, columns]],
      [`${module}.lora_B.weight`, [rows, rank]],
    ]);
    if (magnitudes) {
      const row = new Float64Array(columns);
      this.#magnitude = Float32Array.from({ length: rows }, (_, o) => this.#direction(o, row));
      this.params.set(`${module}.lora_magnitude_vector.weight`, this.#magnitude);
      this.shapes.set(`${module}.lora_magnitude_vector.weight`, [rows]);
    }
  }

  /** Fills in a row of `W₀ + scale·B·A` and returns its length. */
  #direction(o: number, row: Float64Array): number {
    const [perRow, perColumn] = this.#strides;
    for (let i = 0; i < row.length; i++) row[i] = this.#frozen[o * perRow + i * perColumn];
    for (let r = 0; r < this.#rank; r++) {
      const factor = this.#scale * this.#b[o * this.#rank + r];
      if (factor === 0) continue;
      const at = r * this.#columns;
      for (let i = 0; i < row.length; i++) row[i] += factor * this.#a[at + i];
    }
    return Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  }

  /** What a row of directions of this length is multiplied by. A row of zeros has no direction and stays. */
  #lengthening(o: number, length: number): number {
    if (!this.#magnitude || length === 0) return 1;
    return this.#magnitude[o] / Math.fround(length);
  }

  write(): void {
    const [perRow, perColumn] = this.#strides;
    const row = new Float64Array(this.#columns);
    for (let o = 0; o < this.#rows; o++) {
      const factor = this.#lengthening(o, this.#direction(o, row));
      for (let i = 0; i < row.length; i++) this.#weight[o * perRow + i * perColumn] = factor * row[i];
    }
  }

  gradients(ofModel: ParameterSet): Map<string, Float32Array> {
    const gradient = ofModel.get(this.#name);
    // Of a weight that the loss does not depend on there is none.
    if (!gradient) return new Map();
    const [perRow, perColumn] = this.#strides;
    const [rank, columns] = [this.#rank, this.#columns];
    const ofA = new Float64Array(rank * columns);
    const ofB = new Float32Array(this.#rows * rank);
    const ofMagnitude = this.#magnitude && new Float32Array(this.#rows);
    const row = new Float64Array(columns);
    const own = new Float64Array(columns);
    for (let o = 0; o < this.#rows; o++) {
      for (let i = 0; i < columns; i++) own[i] = gradient[o * perRow + i * perColumn];
      let factor = this.#scale;
      if (ofMagnitude) {
        const length = this.#direction(o, row);
        if (length > 0) ofMagnitude[o] = dot(own, row, 0) / length;
        factor *= this.#lengthening(o, length);
      }
      for (let r = 0; r < rank; r++) {
        ofB[o * rank + r] = factor * dot(own, this.#a, r * columns);
        const toA = factor * this.#b[o * rank + r];
        if (toA === 0) continue;
        for (let i = 0; i < columns; i++) ofA[r * columns + i] += toA * own[i];
      }
    }
    const found = [Float32Array.from(ofA), ofB, ...(ofMagnitude ? [ofMagnitude] : [])];
    return new Map([...this.params.keys()].map((name, index) => [name, found[index]]));
  }
}

function dot(a: Float64Array, b: Float64Array | Float32Array, from: number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[from + i];
  return sum;
}
