import { allocateBatch, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import { type Batch, type BatchRow, batchSpecs } from '../../nn/index.js';

/** Label of a token that counts for nothing, as in PyTorch: padding, prompts, and the last token of a text. */
export const ignored = -100;

/** Writes the next token of each token of an example into its row of labels `[batch, tokens]`; its arrays are in the batch. */
export function nextTokens(dataset: Dataset): (position: number, at: BatchRow, labels: BigInt64Array) => void {
  const { promptLengths } = dataset.examples;
  return (position, { batch, row, layout }, labels) => {
    const [tokens] = layout.input_ids.shape;
    const ids = batch.input_ids as BigInt64Array;
    const mask = batch.attention_mask as BigInt64Array;
    const prompt = promptLengths?.[dataset.indices[position]] ?? 0;
    for (let at = 0; at < tokens; at++) {
      const here = row * tokens + at;
      const next = here + 1;
      const counts = at + 1 < tokens && at + 1 >= prompt && mask[here] !== 0n && mask[next] !== 0n;
      labels[here] = counts ? ids[next] : BigInt(ignored);
    }
  };
}

/** The next tokens of the examples at some positions, `[positions, tokens]`. */
export function labelsAt(dataset: Dataset, positions: Uint32Array): BigInt64Array {
  const layout = layoutAt(dataset, positions);
  const batch: Batch = allocateBatch(batchSpecs(layout, positions.length));
  gatherBatch(dataset, positions, { batch, layout });
  const labels = new BigInt64Array(batch.input_ids.length);
  const read = nextTokens(dataset);
  positions.forEach((position, row) => {
    read(position, { batch, row, layout }, labels);
  });
  return labels;
}

/** The share of the next tokens that are the most frequent one: what is right by knowing no more than that. */
export function mostFrequentShare(dataset: Dataset): number {
  const counts = new Map<bigint, number>();
  let total = 0;
  for (let position = 0; position < dataset.size; position++) {
    for (const label of labelsAt(dataset, Uint32Array.of(position))) {
      if (label === BigInt(ignored)) continue;
      counts.set(label, (counts.get(label) ?? 0) + 1);
      total++;
    }
  }
  let most = 0;
  for (const count of counts.values()) most = Math.max(most, count);
  return total === 0 ? 0 : most / total;
}
