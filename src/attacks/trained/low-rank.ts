import { RandomStream } from '../../linalg/index.js';
import { matrixProduct, type Operand, type ParameterSet } from '../../training/index.js';
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
    gradients: async (ofModel) => {
      const found = new Map<string, Float32Array>();
      for (const layer of layers) for (const [name, own] of await layer.gradients(ofModel)) found.set(name, own);
      return found;
    },
    write: async () => {
      for (const layer of layers) await layer.write();
    },
  };
}

/** The factors of one weight. */
class Factors {
  readonly params: Map<string, Float32Array>;
  readonly shapes: Map<string, readonly number[]>;
  readonly #of: FactoredWeight;
  readonly #scale: number;
  readonly #weight: Float32Array;
  readonly #frozen: Float32Array;
  readonly #a: Operand<Float32Array>;
  readonly #b: Operand<Float32Array>;
  readonly #magnitude: Float32Array | undefined;

  constructor(weight: Float32Array, of: FactoredWeight, { rank, alpha, magnitudes, seed }: LowRankOptions) {
    const { name, rows, columns } = of;
    this.#of = of;
    this.#scale = alpha / rank;
    this.#weight = weight;
    this.#frozen = weight.slice();
    this.#a = { values: new Float32Array(rank * columns), shape: [rank, columns] };
    this.#b = { values: new Float32Array(rows * rank), shape: [rows, rank] };
    const bound = 1 / Math.sqrt(columns);
    new RandomStream(seed, `lora/${name}`).fillUniform(this.#a.values, -bound, bound);
    const module = name.replace(/\.weight$/, '');
    this.params = new Map([
      [`${module}.lora_A.weight`, this.#a.values],
      [`${module}.lora_B.weight`, this.#b.values],
    ]);
    this.shapes = new Map([
      [`${module}.lora_A.weight`, [rank, columns]],
      [`${module}.lora_B.weight`, [rows, rank]],
    ]);
    if (magnitudes) {
      // B is 0: the rows are those of W₀.
      this.#magnitude = Float32Array.from(this.#lengthsOf(this.#frozen));
      this.params.set(`${module}.lora_magnitude_vector.weight`, this.#magnitude);
      this.shapes.set(`${module}.lora_magnitude_vector.weight`, [rows]);
    }
  }

  /** A matrix as it lies in memory, used as `[rows, columns]`. */
  #matrix(values: Float32Array): Operand<Float32Array> {
    const { rows, columns, isTransposed } = this.#of;
    return { values, shape: isTransposed ? [columns, rows] : [rows, columns], isTransposed };
  }

  /** Writes `W₀ + scale·B·A` as the weight lies in memory. */
  #directions(out: Float32Array): Promise<void> {
    const [a, b] = [this.#a, this.#b];
    const more = { scale: this.#scale, plus: this.#frozen };
    if (!this.#of.isTransposed) return matrixProduct(b, a, out, more);
    return matrixProduct({ ...a, isTransposed: true }, { ...b, isTransposed: true }, out, more);
  }

  /** Calls with row and place in memory of each element. */
  #each(visit: (row: number, at: number) => void): void {
    const { rows, columns, isTransposed } = this.#of;
    for (let at = 0; at < rows * columns; at++) visit(isTransposed ? at % rows : Math.floor(at / columns), at);
  }

  /** Lengths of the rows. */
  #lengthsOf(values: Float32Array): Float64Array {
    const squares = new Float64Array(this.#of.rows);
    this.#each((row, at) => {
      squares[row] += values[at] * values[at];
    });
    return squares.map(Math.sqrt);
  }

  /** What a row of directions of this length is multiplied by. A row of zeros has no direction and stays. */
  #lengthening(row: number, length: number): number {
    if (!this.#magnitude || length === 0) return 1;
    return this.#magnitude[row] / Math.fround(length);
  }

  async write(): Promise<void> {
    const weight = this.#weight;
    await this.#directions(weight);
    if (!this.#magnitude) return;
    const factors = this.#lengthsOf(weight).map((length, row) => this.#lengthening(row, length));
    this.#each((row, at) => {
      weight[at] *= factors[row];
    });
  }

  async gradients(ofModel: ParameterSet): Promise<Map<string, Float32Array>> {
    const { name, rows } = this.#of;
    const values = ofModel.get(name);
    // Of a weight that the loss does not depend on there is none.
    if (!values) return new Map();
    const gradient = this.#matrix(values);
    const [a, b] = [this.#a, this.#b];
    const ofA = new Float32Array(a.values.length);
    const ofB = new Float32Array(b.values.length);
    const found = [ofA, ofB];
    let lengthened = b;
    let factors: Float64Array | undefined;
    if (this.#magnitude) {
      const directions = new Float32Array(values.length);
      await this.#directions(directions);
      const lengths = this.#lengthsOf(directions);
      const along = new Float64Array(rows);
      this.#each((row, at) => {
        along[row] += values[at] * directions[at];
      });
      found.push(Float32Array.from(along, (value, row) => (lengths[row] > 0 ? value / lengths[row] : 0)));
      factors = lengths.map((length, row) => this.#lengthening(row, length));
      lengthened = { ...b, values: b.values.slice() };
      this.#scaleRows(lengthened.values, factors);
    }
    const more = { scale: this.#scale };
    await matrixProduct({ ...lengthened, isTransposed: true }, gradient, ofA, more);
    await matrixProduct(gradient, { ...a, isTransposed: true }, ofB, more);
    if (factors) this.#scaleRows(ofB, factors);
    return new Map([...this.params.keys()].map((name, index) => [name, found[index]]));
  }

  /** Multiplies each row of a matrix of as many rows as the weight. */
  #scaleRows(values: Float32Array, factors: Float64Array): void {
    const width = values.length / factors.length;
    for (let at = 0; at < values.length; at++) values[at] *= factors[Math.floor(at / width)];
  }
}
