import type { RandomStream } from '../linalg/index.js';
import type { ArraySpecs, BatchRow } from '../nn/index.js';
import type { Vocabulary } from '../text/index.js';

/** The class of a token that has none, as in PyTorch: it counts for nothing. */
export const NO_CLASS = -100;

/** Classes of tokens. */
export interface TokenClasses {
  /** Their names. */
  readonly names: readonly string[];
  /** The class of each token of an example, or {@link NO_CLASS}; its own tokens, without padding. */
  of(index: number): Int32Array;
}

/** Makes examples of other texts, in the form of some. */
export interface TextWriter {
  /** Words that are one token each of the vocabulary: of letters alone, and what texts are made of. */
  words(): readonly string[];
  /** Whether a word is one token. */
  isWord(word: string): boolean;
  /** Texts, one or two each, as examples; what is too long is cut. */
  encode(texts: readonly (readonly string[])[]): Examples;
}

/** Arrays of examples, stored once and shared by every {@link Dataset} that is cut from them. */
export interface Examples {
  /** Number of examples. */
  readonly size: number;
  /** Whether `read` with a random stream differs from `read` without one. */
  readonly augmented: boolean;
  /** Length of each example, where they differ: tokens of a text. */
  readonly lengths?: Uint32Array;
  /** How much of each example was given and is not to be learned: tokens of a prompt; none where all counts. */
  readonly promptLengths?: Uint32Array;
  /** What tokens are for, of texts whose tokenizer is known. */
  readonly vocabulary?: Vocabulary;
  /** The classes of tokens, where they have some. */
  readonly tokenClasses?: TokenClasses;
  /** Makes examples of other texts; undefined where examples are no texts, or not one text or pair each. */
  readonly writer?: TextWriter;
  /**
   * Of pairs of texts the first ones and the second ones, each as a text of its own, in the same order; undefined where examples
   * are no pairs.
   */
  readonly apart?: () => readonly [Examples, Examples] | undefined;
  /**
   * The arrays of one example of a batch that holds these: where examples differ in length, as long as the longest.
   *
   * @param indices - Which examples, from 0.
   */
  layout(indices: ArrayLike<number>): ArraySpecs;
  /**
   * Writes one example as the model sees it.
   *
   * @param index - Which example, from 0.
   * @param to - Its place in a batch that is laid out for it.
   * @param random - Draws the augmentation, for training; without it the example comes as it is.
   */
  read(index: number, to: BatchRow, random?: RandomStream): void;
}

/** Examples that lie in memory as the model sees them, in one array `x`. */
export class FloatExamples implements Examples {
  readonly augmented = false;
  readonly size: number;
  readonly #stride: number;
  readonly #layout: ArraySpecs;

  /** @param values - `[size, ...shape]`, row-major; kept, not copied. */
  constructor(
    readonly values: Float32Array,
    /** Shape of one example. */
    readonly shape: readonly number[],
  ) {
    this.#stride = shape.reduce((product, length) => product * length, 1);
    this.#layout = { x: { shape, dtype: 'float32' } };
    this.size = values.length / this.#stride;
  }

  layout(): ArraySpecs {
    return this.#layout;
  }

  /** Copies one example. */
  read(index: number, { batch, row }: BatchRow): void {
    (batch.x as Float32Array).set(
      this.values.subarray(index * this.#stride, (index + 1) * this.#stride),
      row * this.#stride,
    );
  }
}
