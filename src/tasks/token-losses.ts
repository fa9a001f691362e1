import { NO_CLASS } from '../data/index.js';
import {
  add,
  cast,
  crossEntropy,
  div,
  equal,
  exp,
  gatherElements,
  log,
  logSoftmax,
  max,
  mul,
  not,
  reduceSum,
  reshape,
  softmax,
  sub,
  type Tensor,
} from '../graph/index.js';
import type { Batch } from '../nn/index.js';
import { drawLabels } from './draw-labels.js';
import type { Task, TopOutputs } from './task.js';

/** The array of a batch that says what each token is to be, int64 `[batch, tokens]`; {@link NO_CLASS} counts for nothing. */
const LABELS = 'labels';

/** Logits `[batch, tokens, size]` as one row a token. */
const rowsOf = (logits: Tensor) => reshape(logits, [-1, logits.shape[logits.rank - 1]]);

/** The share of the mean that each token has, `[batch · tokens, 1]`: 0 for those that count for nothing. */
function weightsOf(logits: Tensor, target: (name: string) => Tensor): Tensor {
  const counted = cast(not(equal(reshape(target(LABELS), [-1, 1]), NO_CLASS)), logits.dtype);
  return div(counted, max(reduceSum(counted), 1));
}

/** `Σ q (log q − log p)` over the last axis of logarithms, weighted by row. */
function weightedKl(p: Tensor, q: Tensor, weights: Tensor): Tensor {
  return reduceSum(mul(weights, mul(exp(q), sub(q, p))));
}

/**
 * What tasks share that have one answer a token, by the logits of each: the mean over all tokens that count of cross entropy,
 * KL divergence and Fisher information.
 */
export const ofTokens = {
  output: 'logits',
  targets: ({ input_ids }) => ({ [LABELS]: { shape: input_ids.shape, dtype: 'int64' } }),
  count: ({ [LABELS]: labels }: Batch) =>
    (labels as BigInt64Array).reduce((sum, label) => sum + Number(label !== BigInt(NO_CLASS)), 0),
  loss: (logits, target) => crossEntropy(rowsOf(logits), reshape(target(LABELS), [-1]), { ignoreIndex: NO_CLASS }),
  divergence(logits, original, target) {
    const [p, q] = [rowsOf(logits), rowsOf(original)].map((rows) => logSoftmax(rows, 1));
    return weightedKl(p, q, weightsOf(logits, target));
  },
  curvature(logits, u, target) {
    // The Fisher information of each token's predicted distribution: p ∘ (u − ⟨p, u⟩).
    const [p, v] = [softmax(rowsOf(logits), 1), rowsOf(u)];
    const curved = mul(p, sub(v, reduceSum(mul(p, v), { axes: [1], keepDims: true })));
    return reshape(mul(curved, weightsOf(logits, target)), logits.shape);
  },
  drawTargets: drawLabels,
} satisfies Pick<Task, 'output' | 'targets' | 'count' | 'loss' | 'divergence' | 'curvature' | 'drawTargets'>;

/**
 * Least probability of all other answers together, of the original and of the model: below it, a float32 sum of probabilities
 * that make up one cannot tell.
 */
export const LEAST_REST = 1e-6;

/**
 * KL divergence from an original of which the largest probabilities of each token are known: all others are one answer. It is
 * never more than that of all answers.
 */
export function topDivergence(logits: Tensor, top: TopOutputs, target: (name: string) => Tensor): Tensor {
  const weights = weightsOf(logits, target);
  const [q, rest, answers] = [top.logProbabilities, top.rest, top.answers].map(rowsOf);
  const p = gatherElements(logSoftmax(rowsOf(logits), 1), answers, 1);
  const left = log(max(sub(1, reduceSum(exp(p), { axes: [1], keepDims: true })), LEAST_REST));
  return add(weightedKl(p, q, weights), weightedKl(left, rest, weights));
}
