import type { Examples } from '../../src/data/index.js';

/** Token ids of texts as the examples of a data set, padded on the right with zeros to the longest of a batch. */
export function textExamples(tokens: readonly (readonly number[])[]): Examples {
  return {
    size: tokens.length,
    augmented: false,
    lengths: Uint32Array.from(tokens, ({ length }) => length),
    layout: (indices) => {
      const longest = Array.from(indices, (index) => tokens[index].length).reduce((a, b) => Math.max(a, b), 1);
      return {
        input_ids: { shape: [longest], dtype: 'int64' },
        attention_mask: { shape: [longest], dtype: 'int64' },
      };
    },
    read: (index, { batch, row, layout }) => {
      const [width] = layout.input_ids.shape;
      for (let at = 0; at < width; at++) {
        batch.input_ids[row * width + at] = BigInt(tokens[index][at] ?? 0);
        batch.attention_mask[row * width + at] = BigInt(at < tokens[index].length ? 1 : 0);
      }
    },
  };
}
