import { WeightlockError } from '../registry/index.js';

/** The original's outputs beside a model's, which a meter that compares is always given. */
export function requireOriginal(original: Float32Array | undefined): Float32Array {
  if (original) return original;
  throw new WeightlockError('utility: expected the outputs of the original beside those of the model');
}

/** The logarithms of the probabilities that logits stand for. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const values = Float64Array.from(logits);
  const shift = logSumExp(logits);
  return values.map((value) => value - shift);
}

/** `log Σ exp(x)`, of any magnitudes. */
export function logSumExp(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const value of logits) largest = Math.max(largest, value);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - largest);
  return largest + Math.log(sum);
}

/** Position of the largest logit, the first of equal ones; −1 where one is not finite: what it stands for is lost. */
export function predictedClass(logits: Float32Array): number {
  let best = 0;
  for (let index = 0; index < logits.length; index++) {
    if (!Number.isFinite(logits[index])) return -1;
    if (logits[index] > logits[best]) best = index;
  }
  return best;
}
