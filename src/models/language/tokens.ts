import { argMax, cast, equal, max, mul, not, or, reduceMax, reshape, sub, type Tensor } from '../../graph/index.js';
import { attentionBias, type ExampleSpecs } from '../../nn/index.js';
import { InputError } from '../../registry/index.js';

/** Arrays of an example of text that every model of language takes, `[tokens]` each. */
export const textInputs: ExampleSpecs = {
  input_ids: { shape: [null], dtype: 'int64' },
  attention_mask: { shape: [null], dtype: 'int64' },
};

/** Those, and which text of a pair a token is of. */
export const typedTextInputs: ExampleSpecs = { ...textInputs, token_type_ids: { shape: [null], dtype: 'int64' } };

/**
 * Which tokens are no padding, bool `[batch, tokens]`. All of a row that is nothing but padding, so that attention has
 * something to look at and a mean something to divide by.
 *
 * @param mask - `attention_mask`, int64 `[batch, tokens]`: 0 for padding.
 */
export function realTokens(mask: Tensor): Tensor {
  const isPadding = equal(mask, 0);
  const none = equal(reduceMax(mask, { axes: [1], keepDims: true }), 0);
  return or(not(isPadding), none);
}

/** What keeps attention off padding, to be added to its scores: `[batch, 1, 1, tokens]`. */
export function paddingBias(real: Tensor): Tensor {
  const [batch, tokens] = real.shape;
  return attentionBias(reshape(real, [batch, 1, 1, tokens]));
}

/**
 * The position of each token in its text, int64 `[batch, tokens]`: from 0 at the first that is no padding, 0 before it. The same
 * as transformers' for padding on the right; there, padding on the left moves the text, which these models never saw.
 */
export function textPositions(real: Tensor): Tensor {
  const tokens = real.shape[1];
  const counted = real.graph.constant([...Array(tokens).keys()], [1, tokens], 'int64');
  return max(sub(counted, firstReal(real)), 0);
}

/** The place of each text's first token that is no padding, int64 `[batch, 1]`. */
export function firstReal(real: Tensor): Tensor {
  return argMax(cast(real, 'float32'), 1, { keepDims: true });
}

/** The place of each text's last token that is no padding, int64 `[batch, 1]`. */
export function lastReal(real: Tensor): Tensor {
  const tokens = real.shape[1];
  const places = Array.from({ length: tokens }, (_, place) => place + 1);
  // In float64, which is rounded to no 16 bits: places beyond 256 would be the same.
  return argMax(mul(cast(real, 'float64'), real.graph.constant(places, [1, tokens], 'float64')), 1, { keepDims: true });
}

/**
 * Refuses texts that have more tokens than a model has positions.
 *
 * @param why - What would go wrong, for the message.
 * @throws InputError saying how many there are.
 */
export function requireContext(model: string, tokens: number, most: number, why = ''): void {
  if (tokens <= most) return;
  throw new InputError(`${model}: expected texts of at most ${most} tokens${why}, found one of ${tokens}`);
}
