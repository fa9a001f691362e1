import { add, type Tensor } from '../../graph/index.js';
import { embedding, layerNorm, linear, multiHeadAttention, type Scope } from '../../nn/index.js';
import type { Tensors } from '../architecture.js';
import { type BertBlockKeys, bertBlock } from './bert-block.js';
import { initial } from './keys.js';
import { paddingBias, requireContext } from './tokens.js';

/** What an encoder of BERT is made of. */
export type BertEncoderKeys = BertBlockKeys & {
  readonly model_type: string;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly pad_token_id: number | null;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly attention_probs_dropout_prob: number;
};

/** Where the tokens of a text stand. */
export interface Positions {
  /** Number of each token's position, int64 `[batch, tokens]`. */
  readonly ids: Tensor;
  /** Tokens of the longest text for which there are positions. */
  readonly most: number;
  /** The position of padding, whose vector begins at zero; default none. */
  readonly paddingIndex?: number;
}

/** Token, position and type of text, each with a vector; their sum, normalized: `[batch, tokens, width]`. */
function embeddings(scope: Scope, inputs: Tensors, positions: Positions, settings: BertEncoderKeys): Tensor {
  const { hidden_size: width, initializer_range: deviation, vocab_size, type_vocab_size, pad_token_id } = settings;
  const table = (name: string, ids: Tensor, count: number, paddingIndex?: number | null) =>
    embedding(scope.child(name), ids, { count, width, deviation, paddingIndex });
  const { input_ids, token_type_ids } = inputs;
  const words = table('word_embeddings', input_ids, vocab_size, pad_token_id);
  const places = table('position_embeddings', positions.ids, settings.max_position_embeddings, positions.paddingIndex);
  // A model of one type has the same for all: then the number of the type need not be fed.
  const types = table(
    'token_type_embeddings',
    token_type_ids ?? scope.graph.constant([0], [1, 1], 'int64'),
    type_vocab_size,
  );
  const sum = add(add(words, types), places);
  const normed = layerNorm(scope.child('LayerNorm'), sum, { epsilon: settings.layer_norm_eps });
  return scope.dropout(normed, settings.hidden_dropout_prob);
}

/** Attention with its first projections (`BertSelfAttention`). */
function attention(scope: Scope, x: Tensor, bias: Tensor, settings: BertEncoderKeys): Tensor {
  const { hidden_size, num_attention_heads: heads, attention_probs_dropout_prob: dropout } = settings;
  const project = (name: string) => linear(scope.child(name), x, hidden_size, initial(settings));
  const [query, key, value] = ['query', 'key', 'value'].map(project);
  return multiHeadAttention(scope, { query, key, value }, { heads, bias, dropout });
}

/**
 * The encoder of BERT (Devlin et al. 2018) and RoBERTa, as `BertModel` of transformers without its pooler.
 *
 * @param scope - Of the base model: holds `embeddings` and `encoder`.
 * @param inputs - Of a batch.
 * @param real - Which tokens are no padding, bool `[batch, tokens]`.
 * @returns A vector of each token, `[batch, tokens, width]`.
 */
export function bertEncoder(
  scope: Scope,
  inputs: Tensors,
  { real, positions }: { real: Tensor; positions: Positions },
  settings: BertEncoderKeys,
): Tensor {
  requireContext(settings.model_type, real.shape[1], positions.most);
  const bias = paddingBias(real);
  let h = embeddings(scope.child('embeddings'), inputs, positions, settings);
  for (let layer = 0; layer < settings.num_hidden_layers; layer++) {
    const block = scope.child('encoder').child('layer').child(`${layer}`);
    h = scope.hiddenLayer(bertBlock(block, h, settings, (inner, x) => attention(inner, x, bias, settings)));
  }
  return h;
}
