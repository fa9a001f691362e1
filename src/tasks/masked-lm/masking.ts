import { type Dataset, type Examples, NO_CLASS } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { ArraySpecs, BatchRow } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';

/** Share of a text's tokens that are to be found, and of these, how many are hidden, and how many are another token (BERT). */
const CHOSEN = 0.15;
const HIDDEN = 0.8;
const REPLACED = 0.1;
/** Decides which tokens are to be found where nothing is drawn: the same of an example each time. */
const SEED = 0;

/** A vocabulary with a token that hides others. */
type MaskingVocabulary = NonNullable<Examples['vocabulary']> & { readonly maskId: number };

/**
 * The vocabulary of texts.
 *
 * @throws InputError when it is not known, or has no token that hides another.
 */
export function requireMask({ name, examples: { vocabulary } }: Dataset): MaskingVocabulary {
  if (vocabulary?.maskId !== undefined) return { ...vocabulary, maskId: vocabulary.maskId };
  const found = vocabulary ? 'a tokenizer without one' : 'none';
  throw new InputError(`${name}: expected texts of a tokenizer with a mask_token, found ${found}`);
}

/**
 * Texts with hidden tokens, as BERT is trained (Devlin et al. 2018, §3.1, A.1): 15 % of the tokens of each text, at least one, are to
 * be found; 80 % of these are replaced by the mask, 10 % by any token, and 10 % stay. Special tokens are never chosen. `labels`,
 * int64 `[tokens]` an example, has what stood there, and {@link NO_CLASS} elsewhere.
 *
 * In training the choice is drawn each time; else that of an example is always the same.
 */
export class MaskedExamples implements Examples {
  readonly augmented = true;
  readonly size: number;
  readonly lengths: Uint32Array | undefined;

  constructor(
    /** The texts as they are. */
    readonly texts: Examples,
    readonly vocabulary: MaskingVocabulary,
  ) {
    this.size = texts.size;
    this.lengths = texts.lengths;
  }

  layout(indices: ArrayLike<number>): ArraySpecs {
    const layout = this.texts.layout(indices);
    return { ...layout, labels: { shape: layout.input_ids.shape, dtype: 'int64' } };
  }

  read(index: number, to: BatchRow, random = new RandomStream(SEED, 'masking', index)): void {
    this.texts.read(index, to);
    const { batch, row, layout } = to;
    const [tokens] = layout.input_ids.shape;
    const [ids, mask, labels] = [batch.input_ids, batch.attention_mask, batch.labels].map((array) =>
      (array as BigInt64Array).subarray(row * tokens, (row + 1) * tokens),
    );
    labels.fill(BigInt(NO_CLASS));
    const { special, maskId, size } = this.vocabulary;
    const candidates = [...ids.keys()].filter((at) => mask[at] !== 0n && !special.has(Number(ids[at])));
    const chosen = Math.min(candidates.length, Math.max(1, Math.round(CHOSEN * candidates.length)));
    for (const place of random.permutation(candidates.length).subarray(0, chosen)) {
      const at = candidates[place];
      labels[at] = ids[at];
      const draw = random.uniform();
      if (draw < HIDDEN) ids[at] = BigInt(maskId);
      else if (draw < HIDDEN + REPLACED) ids[at] = BigInt(random.integer(size));
    }
  }
}

/** A data set with hidden tokens; one that has them already as it is. */
export function withMasks(dataset: Dataset): Dataset {
  if (dataset.examples instanceof MaskedExamples) return dataset;
  return { ...dataset, examples: new MaskedExamples(dataset.examples, requireMask(dataset)) };
}
