import type { RandomStream } from '../linalg/index.js';

/** Inputs of examples, stored once and shared by every {@link Dataset} that is cut from them. */
export interface Examples {
  /** Shape of one example: `[channels, height, width]` for images. */
  readonly shape: readonly number[];
  /** Number of examples. */
  readonly size: number;
  /** Whether `read` with a random stream differs from `read` without one. */
  readonly augmented: boolean;
  /**
   * Writes one example as the model sees it.
   *
   * @param index - Which example, from 0.
   * @param out - Receives it from `offset` on.
   * @param random - Draws the augmentation, for training; without it the example comes as it is.
   */
  read(index: number, out: Float32Array, offset: number, random?: RandomStream): void;
}

/** Examples that lie in memory as the model sees them. */
export class FloatExamples implements Examples {
  readonly augmented = false;
  readonly size: number;
  readonly #stride: number;

  /** @param values - `[size, ...shape]`, row-major; kept, not copied. */
  constructor(
    readonly values: Float32Array,
    readonly shape: readonly number[],
  ) {
    this.#stride = shape.reduce((product, length) => product * length, 1);
    this.size = values.length / this.#stride;
  }

  /** Copies one example. */
  read(index: number, out: Float32Array, offset: number): void {
    out.set(this.values.subarray(index * this.#stride, (index + 1) * this.#stride), offset);
  }
}
