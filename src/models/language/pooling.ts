import {
  cast,
  div,
  equal,
  matMul,
  max,
  mul,
  reduceMean,
  reduceSum,
  reshape,
  sqrt,
  type Tensor,
} from '../../graph/index.js';
import { firstReal, lastReal } from './tokens.js';

/**
 * The vector of each text's first token that is no padding.
 *
 * @param h - `[batch, tokens, width]`.
 * @param real - Which tokens are no padding, bool `[batch, tokens]`.
 * @returns `[batch, width]`.
 */
export function firstToken(h: Tensor, real: Tensor): Tensor {
  return tokenAt(h, firstReal(real));
}

/** The same of its last one. */
export function lastToken(h: Tensor, real: Tensor): Tensor {
  return tokenAt(h, lastReal(real));
}

/** The vector of one token of each text, by its place, int64 `[batch, 1]`. */
function tokenAt(h: Tensor, place: Tensor): Tensor {
  const [batch, tokens, width] = h.shape;
  const places = h.graph.constant([...Array(tokens).keys()], [1, tokens], 'int64');
  const isIt = cast(equal(places, place), h.dtype); // one in each row
  return reshape(matMul(reshape(isIt, [batch, 1, tokens]), h), [batch, width]);
}

/** Least mean square that a vector is divided by, so that one of zeros stays zeros. */
const least = 1e-24;

/**
 * The embedding of a text: the mean of its tokens' vectors, of length 1. As sentence-transformers' mean pooling and
 * normalization.
 *
 * @param h - `[batch, tokens, width]`.
 * @param real - Which tokens count, bool `[batch, tokens]`.
 * @returns `[batch, width]`.
 */
export function sentenceEmbedding(h: Tensor, real: Tensor): Tensor {
  const [batch, tokens, width] = h.shape;
  const counted = reshape(cast(real, h.dtype), [batch, tokens, 1]);
  const mean = div(reduceSum(mul(h, counted), { axes: [1] }), reduceSum(counted, { axes: [1] }));
  // The mean of squares, not their sum, which exceeds float16 sooner.
  const square = reduceMean(mul(mean, mean), { axes: [1], keepDims: true });
  return div(mean, mul(sqrt(max(square, least)), Math.sqrt(width)));
}
