import { type Dataset, NO_CLASS } from '../../data/index.js';
import type { TargetReader } from '../task.js';

/**
 * Writes the next token of each token of an example into its row of labels, `[batch, tokens]`; its own arrays are in the batch.
 * Padding, prompts, and the last token of a text have none.
 */
export function nextTokens(dataset: Dataset): TargetReader {
  const { promptLengths } = dataset.examples;
  return (position, { batch, row, layout }) => {
    const [tokens] = layout.input_ids.shape;
    const [ids, mask, labels] = [batch.input_ids, batch.attention_mask, batch.labels] as BigInt64Array[];
    const prompt = promptLengths?.[dataset.indices[position]] ?? 0;
    let seen = 0;
    for (let at = 0; at < tokens; at++) {
      const here = row * tokens + at;
      const next = here + 1;
      seen += Number(mask[here]);
      const counts = at + 1 < tokens && seen >= prompt && mask[here] !== 0n && mask[next] !== 0n;
      labels[here] = counts ? ids[next] : BigInt(NO_CLASS);
    }
  };
}
