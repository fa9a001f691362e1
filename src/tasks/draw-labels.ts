import { NO_CLASS } from '../data/index.js';
import type { RandomStream } from '../linalg/index.js';
import type { Batch } from '../nn/index.js';

/**
 * Labels drawn from the softmax of rows of logits, `[rows, size]`, one number of their example's stream each; what has no label
 * keeps none.
 */
export function drawLabels(logits: Float32Array, { labels }: Batch, streams: readonly RandomStream[]): Batch {
  const drawn = labels.slice();
  const size = logits.length / labels.length;
  const perExample = labels.length / streams.length;
  for (let row = 0; row < labels.length; row++) {
    const at = streams[Math.floor(row / perExample)].uniform();
    if (Number(labels[row]) === NO_CLASS) continue;
    const label = drawFrom(logits.subarray(row * size, (row + 1) * size), at);
    if (drawn instanceof BigInt64Array) drawn[row] = BigInt(label);
    else drawn[row] = label;
  }
  return { labels: drawn };
}

/** The first class at which the probabilities add up to more than `at`. */
function drawFrom(logits: Float32Array, at: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - largest);
  let left = at * total;
  for (let label = 0; label < logits.length; label++) {
    left -= Math.exp(logits[label] - largest);
    if (left < 0) return label;
  }
  // Rounding, or logits that are no numbers.
  return logits.length - 1;
}
