import { batchAt, type Dataset, layoutAt, NO_CLASS } from '../data/index.js';
import type { LabelsAt, TargetReader } from './task.js';

/** Labels as a target reader writes them. */
export function labelsBy(dataset: Dataset, read: TargetReader): LabelsAt {
  return (positions) => {
    const texts = batchAt(dataset, positions);
    const batch = { ...texts, labels: new BigInt64Array(texts.input_ids.length) };
    const layout = layoutAt(dataset, positions);
    positions.forEach((position, row) => {
      read(position, { batch, row, layout });
    });
    return batch.labels;
  };
}

/** The share of the labels of a data set that are the most frequent one: what is right by knowing no more than that. */
export function mostFrequentShare({ size }: Dataset, labelsAt: LabelsAt): number {
  const counts = new Map<bigint, number>();
  let total = 0;
  for (let position = 0; position < size; position++) {
    for (const label of labelsAt(Uint32Array.of(position))) {
      if (label === BigInt(NO_CLASS)) continue;
      counts.set(label, (counts.get(label) ?? 0) + 1);
      total++;
    }
  }
  let most = 0;
  for (const count of counts.values()) most = Math.max(most, count);
  return total === 0 ? 0 : most / total;
}
