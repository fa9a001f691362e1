import { toJson } from '../evidence/index.js';

/**
 * Predictions as JSONL, a line an example: `{"index":0,"label":3,"logits":[…]}`.
 *
 * @param logits - `[n, classes]`.
 */
export function predictionLines(logits: Float32Array, labels: Int32Array): string {
  const classes = logits.length / Math.max(labels.length, 1);
  return Array.from(labels, (label, index) => {
    const row = Array.from(logits.subarray(index * classes, (index + 1) * classes));
    return `${toJson({ index, label, logits: row })}\n`;
  }).join('');
}
