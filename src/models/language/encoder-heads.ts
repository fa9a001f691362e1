import { add, matMul, matrixTranspose, type Tensor } from '../../graph/index.js';
import { embeddingTable, linear, type Scope, zeros } from '../../nn/index.js';
import type { StateDictPolicy } from '../state-dict-policy.js';
import { initial } from './keys.js';

/** Keys that heads look at. */
export interface HeadKeys {
  readonly vocab_size: number;
  readonly num_labels: number;
  readonly initializer_range: number;
  readonly tie_word_embeddings: boolean;
}

/** One of the classes' logits each, from vectors of the last axis. */
export function classes(scope: Scope, x: Tensor, settings: HeadKeys, dropout: number): Tensor {
  return linear(scope, scope.dropout(x, dropout), settings.num_labels, initial(settings));
}

/**
 * Logits of each token of the vocabulary: by the embeddings of the tokens where they are tied, else by a layer of their own.
 *
 * @param h - `[batch, tokens, width]`.
 * @param scopes - `words`: of the embeddings. `bias`: of the bias where they are tied. `decoder`: of the layer where not.
 * @returns `[batch, tokens, vocabulary]`.
 */
export function vocabularyLogits(
  h: Tensor,
  { words, bias, decoder }: { words: Scope; bias: Scope; decoder: Scope },
  settings: HeadKeys,
): Tensor {
  const { vocab_size: count, initializer_range: deviation } = settings;
  if (!settings.tie_word_embeddings) return linear(decoder, h, count, initial(settings));
  // The base model has declared the table already.
  const table = embeddingTable(words, { count, width: h.shape[h.rank - 1], deviation });
  return add(matMul(h, matrixTranspose(table)), bias.parameter('bias', [count], zeros));
}

/**
 * In what files of a head that has both a `decoder` and a `bias` of its own differ from its state. Where they are not tied,
 * transformers still saves the bias, with which nothing is computed.
 *
 * @param head - Name of the head, `cls.predictions`.
 * @param words - Name of the table of embeddings.
 */
export function decoderNames(
  head: string,
  words: string,
  { tie_word_embeddings }: Pick<HeadKeys, 'tie_word_embeddings'>,
): Pick<StateDictPolicy, 'ties' | 'ignorable'> {
  if (!tie_word_embeddings) return { ignorable: [`${head}.bias`] };
  return { ties: { [`${head}.decoder.weight`]: words, [`${head}.decoder.bias`]: `${head}.bias` } };
}
