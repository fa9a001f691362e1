import type { ArraySpecs, BatchRow } from '../nn/index.js';
import type { Encoding, Vocabulary } from '../text/index.js';
import { bucketOf } from './buckets.js';
import type { Examples, TextWriter, TokenClasses } from './examples.js';

/** What texts become beside their tokens. */
export interface TextForm {
  /** Token of the padding, which the mask hides. */
  readonly padId: number;
  /** Most tokens that a text may have; default any number. */
  readonly limit?: number;
  /** Tokens of each text that were given and are not to be learned; default none. */
  readonly promptLengths?: Uint32Array;
  /** What tokens are for; default not known. */
  readonly vocabulary?: Vocabulary;
  /** Classes of tokens, as many for each text as it has tokens; default none. */
  readonly tokenClasses?: { readonly names: readonly string[]; readonly of: readonly (readonly number[])[] };
  /** See {@link Examples.writer}. */
  readonly writer?: TextWriter;
  /** See {@link Examples.apart}; called at most once. */
  readonly apart?: () => readonly [TextExamples, TextExamples] | undefined;
}

/**
 * Texts as numbers of tokens, padded on the right to one of a few lengths ({@link bucketOf}): `input_ids`, `attention_mask`
 * (0 for padding) and `token_type_ids`, each int64 `[tokens]` an example.
 */
export class TextExamples implements Examples {
  readonly augmented = false;
  readonly size: number;
  /** Tokens of each text, `[size]`. */
  readonly lengths: Uint32Array;
  /** Tokens of each text that are its prompt, `[size]`: a language model is given and not taught them; undefined where there are none. */
  readonly promptLengths: Uint32Array | undefined;
  /** What tokens are for. */
  readonly vocabulary: Vocabulary | undefined;
  /** Classes of tokens. */
  readonly tokenClasses: TokenClasses | undefined;
  /** See {@link Examples.writer}. */
  readonly writer: TextWriter | undefined;
  /** Highest number of a token, the padding's included. */
  readonly highest: number;
  readonly #starts: Float64Array;
  readonly #ids: Int32Array;
  readonly #types: Uint8Array;
  readonly #form: TextForm;
  #apart: readonly [TextExamples, TextExamples] | 'none' | undefined;

  constructor(encodings: readonly Encoding[], form: TextForm) {
    this.size = encodings.length;
    this.#form = form;
    this.promptLengths = form.promptLengths;
    this.vocabulary = form.vocabulary;
    this.writer = form.writer;
    this.lengths = Uint32Array.from(encodings, ({ ids }) => ids.length);
    this.#starts = new Float64Array(this.size + 1);
    for (let i = 0; i < this.size; i++) this.#starts[i + 1] = this.#starts[i] + this.lengths[i];
    this.#ids = new Int32Array(this.#starts[this.size]);
    this.#types = new Uint8Array(this.#starts[this.size]);
    for (const [index, { ids, typeIds }] of encodings.entries()) {
      this.#ids.set(ids, this.#starts[index]);
      this.#types.set(typeIds, this.#starts[index]);
    }
    this.tokenClasses = form.tokenClasses && this.#classes(form.tokenClasses);
    this.highest = this.#ids.reduce((highest, id) => Math.max(highest, id), form.padId);
  }

  layout(indices: ArrayLike<number>): ArraySpecs {
    let longest = 0;
    for (let i = 0; i < indices.length; i++) longest = Math.max(longest, this.lengths[indices[i]]);
    const array = { shape: [bucketOf(longest, this.#form.limit)], dtype: 'int64' } as const;
    return { input_ids: array, attention_mask: array, token_type_ids: array };
  }

  read(index: number, { batch, row, layout }: BatchRow): void {
    const [width] = layout.input_ids.shape;
    const [from, to] = [this.#starts[index], this.#starts[index + 1]];
    const start = row * width;
    const ids = batch.input_ids as BigInt64Array;
    const mask = batch.attention_mask as BigInt64Array;
    const types = batch.token_type_ids as BigInt64Array;
    for (let at = 0; at < to - from; at++) {
      ids[start + at] = BigInt(this.#ids[from + at]);
      mask[start + at] = 1n;
      types[start + at] = BigInt(this.#types[from + at]);
    }
    ids.fill(BigInt(this.#form.padId), start + to - from, start + width);
    mask.fill(0n, start + to - from, start + width);
    types.fill(0n, start + to - from, start + width);
  }

  /** See {@link Examples.apart}. */
  apart(): readonly [TextExamples, TextExamples] | undefined {
    this.#apart ??= this.#form.apart?.() ?? 'none';
    return this.#apart === 'none' ? undefined : this.#apart;
  }

  #classes({ names, of }: NonNullable<TextForm['tokenClasses']>): TokenClasses {
    const all = new Int32Array(this.#starts[this.size]);
    of.forEach((classes, index) => {
      all.set(classes, this.#starts[index]);
    });
    return { names, of: (index) => all.subarray(this.#starts[index], this.#starts[index + 1]) };
  }

  /** Numbers of the tokens of a text, without padding; a view. */
  tokens(index: number): Int32Array {
    return this.#ids.subarray(this.#starts[index], this.#starts[index + 1]);
  }
}
