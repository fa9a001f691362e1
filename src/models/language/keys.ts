import { z } from 'zod';
import { type ActivationName, activationNames, normal, zeros } from '../../nn/index.js';
import { labelKeys, maxClasses } from '../labels.js';

/** A length of an axis or a number of parts. */
export const count = (value: number) => z.int().min(1).default(value);

/** A share that training drops. */
export const dropout = (value: number) => z.number().min(0).lt(1).default(value);

/** A function by its name. */
export const activation = (value: ActivationName) => z.enum(activationNames).default(value);

/** Keys that every encoder of texts has, whatever it calls the others. */
export const encoderKeys = {
  vocab_size: count(30_522).describe('number of tokens of the vocabulary'),
  max_position_embeddings: count(512).describe('tokens of the longest text'),
  initializer_range: z.number().positive().default(0.02).describe('deviation of first weights'),
  pad_token_id: z.int().min(0).nullable().default(0).describe('number of the token of padding'),
  num_labels: z.int().min(1).max(maxClasses).default(2).describe('number of classes; follows from id2label'),
  ...labelKeys,
  problem_type: z.literal('single_label_classification').optional().describe('what the classes mean: one an example'),
  tie_word_embeddings: z.boolean().default(true).describe('whether tokens are predicted by their own embeddings'),
  is_decoder: z.literal(false).default(false).describe('whether a token sees only those before it: not here'),
  add_cross_attention: z.literal(false).default(false).describe('whether there is attention to other texts: not here'),
};

/** Keys of BERT and those that are built like it. */
export const bertKeys = {
  ...encoderKeys,
  hidden_size: count(768).describe('width of the residual stream'),
  num_hidden_layers: count(12).describe('number of blocks'),
  num_attention_heads: count(12).describe('attention heads; they divide the width'),
  intermediate_size: count(3072).describe('width of the hidden layer of a block'),
  hidden_act: activation('gelu').describe('activation of the hidden layer'),
  hidden_dropout_prob: dropout(0.1).describe('share of the residual stream that training drops'),
  attention_probs_dropout_prob: dropout(0.1).describe('share of the attention weights that training drops'),
  layer_norm_eps: z.number().positive().default(1e-12).describe('epsilon of layer norms'),
};

/** How the deep networks of low rank are made that stand in the place of feed-forward layers (DLR-Lock). */
export const deepFeedForward = z
  .strictObject({
    depth: z.int().min(1).max(1024).default(16).describe('layers of each'),
    rank: count(64).describe('width of each layer'),
  })
  .prefault({})
  .describe('deep residual networks of low-rank layers in the place of feed-forward layers');

/** Share dropped before a classifier, which may be that of the residual stream. */
export const classifierDropout = z
  .number()
  .min(0)
  .lt(1)
  .nullable()
  .default(null)
  .describe('share that training drops before the classifier; null: hidden_dropout_prob');

/** What {@link checkSizes} looks at. */
export interface Sizes {
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly vocab_size: number;
  readonly pad_token_id: number | null;
}

/**
 * Reports sizes that do not go together to zod's refinement of a configuration.
 *
 * @param keys - What the configuration calls the width and the number of heads.
 */
export function checkSizes(
  { hidden_size: width, num_attention_heads: heads, vocab_size, pad_token_id: padding }: Sizes,
  context: z.RefinementCtx,
  keys: { width: string; heads: string } = { width: 'hidden_size', heads: 'num_attention_heads' },
): void {
  if (width % heads !== 0) {
    const message = `expected a divisor of ${keys.width} ${width}, found ${heads}`;
    context.addIssue({ code: 'custom', path: [keys.heads], message });
  }
  if (padding !== null && padding >= vocab_size) {
    const message = `expected a token of the vocabulary of ${vocab_size}, found ${padding}`;
    context.addIssue({ code: 'custom', path: ['pad_token_id'], message });
  }
}

/** First values of a linear layer: normal weights, biases of zero. */
export function initial({ initializer_range }: { readonly initializer_range: number }) {
  return { weightInitializer: normal(initializer_range), biasInitializer: zeros };
}
