import type { Examples } from '../../src/data/index.js';

/** Token ids of texts as the examples of a data set, padded with zeros to the longest of a batch, or to `length`. */
export function textExamples(
  tokens: readonly (readonly number[])[],
  { side = 'right', length = 1 }: { side?: 'left' | 'right'; length?: number } = {},
): Examples {
  return {
    size: tokens.length,
    augmented: false,
    lengths: Uint32Array.from(tokens, ({ length }) => length),
    layout: (indices) => {
      const longest = Array.from(indices, (index) => tokens[index].length).reduce((a, b) => Math.max(a, b), length);
      return {
        input_ids: { shape: [longest], dtype: 'int64' },
        attention_mask: { shape: [longest], dtype: 'int64' },
      };
    },
    read: (index, { batch, row, layout }) => {
      const [width] = layout.input_ids.shape;
      const own = tokens[index];
      const before = side === 'left' ? width - own.length : 0;
      for (let at = 0; at < width; at++) {
        batch.input_ids[row * width + at] = BigInt(own[at - before] ?? 0);
        batch.attention_mask[row * width + at] = BigInt(own[at - before] === undefined ? 0 : 1);
      }
    },
  };
}
