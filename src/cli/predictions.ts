import type { LabelledDataset } from '../data/index.js';
import { toJson } from '../evidence/index.js';

/**
 * Predictions as JSONL, a line an example: `{"index":0,"source":"digits 417","label":3,"logits":[…]}`. The source is the
 * example's own file, or its file and place there; the index counts the examples that were evaluated.
 *
 * @param logits - `[n, width]`.
 */
export function predictionLines(logits: Float32Array, { labels, indices, nameOf }: LabelledDataset): string {
  const width = logits.length / Math.max(labels.length, 1);
  return Array.from(indices, (position, index) => {
    const row = Array.from(logits.subarray(index * width, (index + 1) * width));
    return `${toJson({ index, source: nameOf?.(position), label: labels[index], logits: row })}\n`;
  }).join('');
}

/** Whether a file begins as {@link predictionLines} does. */
export function arePredictions(head: string): boolean {
  return /^\{"index":0,("source":"(\\.|[^"\\])*",)?"label":\d+,"logits":\[/.test(head);
}
