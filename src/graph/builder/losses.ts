import { GraphError } from '../dtype.js';
import type { Tensor } from '../graph.js';
import { cast, div, equal, exp, max, mul, neg, not, sub, where } from './elementwise.js';
import { gatherElements, reshape, unsqueeze } from './movement.js';
import { logSoftmax, reduceMean, reduceSum } from './reduction.js';

/** Cross entropy of each row: `−log softmax(logits)[label]`, 0 where the label is `ignoreIndex`. */
export function crossEntropyPerExample(
  logits: Tensor,
  labels: Tensor,
  { ignoreIndex = -100 }: { ignoreIndex?: number } = {},
): Tensor {
  if (logits.rank !== 2 || labels.rank !== 1 || labels.shape[0] !== logits.shape[0]) {
    throw new GraphError(`crossEntropy: expected logits [n, classes] and labels [n], got ${logits} and ${labels}`);
  }
  const ignored = equal(labels, ignoreIndex);
  const picked = gatherElements(logSoftmax(logits, 1), unsqueeze(where(ignored, 0, labels), 1), 1);
  return where(ignored, 0, neg(reshape(picked, labels.shape)));
}

/**
 * Mean cross entropy of logits `[n, classes]` and integer labels `[n]` (int32 or int64), as PyTorch's `cross_entropy`.
 * Rows whose label is `ignoreIndex` (default −100) count neither above nor below the line; a batch of only such rows gives 0.
 */
export function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  { ignoreIndex = -100 }: { ignoreIndex?: number } = {},
): Tensor {
  const total = reduceSum(crossEntropyPerExample(logits, labels, { ignoreIndex }));
  const counted = reduceSum(cast(not(equal(labels, ignoreIndex)), logits.dtype));
  return div(total, max(counted, 1));
}

/** Mean squared error over all elements. */
export function meanSquaredError(prediction: Tensor, target: Tensor): Tensor {
  const difference = sub(prediction, target);
  return reduceMean(mul(difference, difference));
}

/**
 * Mean over rows of `KL(target ‖ prediction)`, both given as logits `[n, classes]`; the gradient flows into either.
 * Equals PyTorch's `kl_div(log_softmax(prediction), log_softmax(target), reduction='batchmean', log_target=True)`.
 */
export function klDivergence(predictionLogits: Tensor, targetLogits: Tensor): Tensor {
  const target = logSoftmax(targetLogits, -1);
  const rows = predictionLogits.size / predictionLogits.shape[predictionLogits.rank - 1];
  return div(reduceSum(mul(exp(target), sub(target, logSoftmax(predictionLogits, -1)))), rows);
}
