import type { FoundData } from './describe.js';
import { encodeText, type TextEncoding } from './encode-text.js';

/** How long the texts of a split are. */
export interface TextLengths {
  /** What is counted: words between spaces, or tokens, special ones included. */
  readonly unit: 'words' | 'tokens';
  /** Half of the texts are not longer. */
  readonly median: number;
  /** 95 of 100 texts are not longer. */
  readonly p95: number;
  /** The longest. */
  readonly max: number;
  /** Texts that are cut, or too long for the model; undefined where no length is known. */
  readonly truncated?: number;
}

/**
 * How long the texts of each split are: in tokens with a tokenizer, else in words.
 *
 * @throws InputError when a text has no token.
 */
export function textLengths({ texts }: Pick<FoundData, 'texts'>, encoding?: TextEncoding): TextLengths[] {
  return texts.map((part) => {
    const lengths = Array.from(part.labels, (_, index) => {
      const record = part.record(index);
      if (encoding) return encodeText(record, { ...encoding, limit: undefined }, () => part.nameOf(index))[0].whole;
      return [record.text, record.pair ?? '']
        .join(' ')
        .split(/\s+/)
        .filter((word) => word).length;
    }).sort((a, b) => a - b);
    // The smallest length that so many texts do not exceed.
    const quantile = (share: number) => lengths[Math.ceil(share * lengths.length) - 1];
    const limit = encoding?.limit;
    return {
      unit: encoding ? 'tokens' : 'words',
      median: quantile(0.5),
      p95: quantile(0.95),
      max: lengths[lengths.length - 1],
      ...(limit !== undefined && { truncated: lengths.filter((length) => length > limit).length }),
    };
  });
}
