import { z } from 'zod';
import { add, matMul, matrixTranspose, type Tensor, tanh } from '../../graph/index.js';
import { activations, embeddingTable, layerNorm, linear, type Scope, zeros } from '../../nn/index.js';
import type { Architecture, Tensors } from '../architecture.js';
import { familyKeys, headKind, keysOfNewHead } from '../head.js';
import type { StateDictPolicy } from '../state-dict-policy.js';
import { bertEncoder } from './bert-encoder.js';
import { bertKeys, checkSizes, count, initial } from './keys.js';
import { encoderPolicy } from './policy.js';
import { firstToken, sentenceEmbedding } from './pooling.js';
import { realTokens, textInputs, textPositions, typedTextInputs } from './tokens.js';

const classes = {
  BertModel: 'embedding',
  BertForSequenceClassification: 'classifier',
  BertForTokenClassification: 'token-classifier',
  BertForMaskedLM: 'masked-lm',
  BertForPreTraining: 'masked-lm',
} as const;

const config = z
  .strictObject({
    ...familyKeys('bert', classes),
    ...bertKeys,
    type_vocab_size: count(2).describe('number of texts that an example may be of'),
    classifier_dropout: z
      .number()
      .min(0)
      .lt(1)
      .nullable()
      .default(null)
      .describe('share that training drops before the classifier; null: hidden_dropout_prob'),
    position_embedding_type: z.literal('absolute').default('absolute').describe('kind of positions: a vector each'),
  })
  .superRefine(({ hidden_size, num_attention_heads, vocab_size, pad_token_id }, context) => {
    const sizes = { width: hidden_size, heads: num_attention_heads, vocabulary: vocab_size, padding: pad_token_id };
    checkSizes(context, sizes);
  });

/** Configuration of {@link bert}: Hugging Face's keys. */
export type BertConfig = z.infer<typeof config>;

const words = 'bert.embeddings.word_embeddings';

/** The tensors of each head, whichever of the classes has it. */
const heads: Readonly<Record<string, readonly string[]>> = {
  embedding: [],
  classifier: ['pooler.*', 'classifier.*'],
  'token-classifier': ['classifier.*'],
  'masked-lm': ['cls.predictions.*'],
};

function stateDictPolicy(settings: BertConfig): StateDictPolicy {
  const kind = headKind(classes, settings);
  const all = ['pooler.*', 'classifier.*', 'cls.*', 'qa_outputs.*'];
  if (kind !== 'masked-lm') return encoderPolicy('bert', { all, own: heads[kind] });
  const others = { all: ['pooler.*', 'classifier.*', 'cls.seq_relationship.*', 'qa_outputs.*'], own: heads[kind] };
  // Where the decoder is one of its own, transformers still saves the bias that nothing is computed with.
  if (!settings.tie_word_embeddings) others.all.push('cls.predictions.bias');
  const ties = {
    'cls.predictions.decoder.weight': `${words}.weight`,
    'cls.predictions.decoder.bias': 'cls.predictions.bias',
  };
  return encoderPolicy('bert', { ...others, ...(settings.tie_word_embeddings && { ties }) });
}

/** Logits of each token of the vocabulary in each place (`BertLMPredictionHead`): `[batch, tokens, vocabulary]`. */
function predictions(scope: Scope, h: Tensor, table: Tensor, settings: BertConfig): Tensor {
  const { hidden_size, hidden_act, layer_norm_eps: epsilon, vocab_size } = settings;
  const transform = scope.child('transform');
  const dense = activations[hidden_act](linear(transform.child('dense'), h, hidden_size, initial(settings)));
  const normed = layerNorm(transform.child('LayerNorm'), dense, { epsilon });
  if (!settings.tie_word_embeddings) return linear(scope.child('decoder'), normed, vocab_size, initial(settings));
  return add(matMul(normed, matrixTranspose(table)), scope.parameter('bias', [vocab_size], zeros));
}

function forward(scope: Scope, inputs: Tensors, settings: BertConfig): Tensors {
  const kind = headKind(classes, settings);
  // transformers' base model has no prefix of its own.
  const base = kind === 'embedding' ? scope : scope.child('bert');
  const real = realTokens(inputs.attention_mask);
  const positions = { ids: textPositions(real), most: settings.max_position_embeddings };
  const h = bertEncoder(base, inputs, { real, positions }, settings);
  if (kind === 'embedding') return { embedding: sentenceEmbedding(h, real) };
  if (kind === 'masked-lm') {
    const { hidden_size: width, vocab_size, initializer_range: deviation } = settings;
    const table = embeddingTable(scope.child(words), { count: vocab_size, width, deviation });
    return { logits: predictions(scope.child('cls').child('predictions'), h, table, settings) };
  }
  const classify = (x: Tensor) => {
    const dropped = scope.dropout(x, settings.classifier_dropout ?? settings.hidden_dropout_prob);
    return linear(scope.child('classifier'), dropped, settings.num_labels, initial(settings));
  };
  if (kind === 'token-classifier') return { logits: classify(h) };
  const pooler = base.child('pooler').child('dense');
  return { logits: classify(tanh(linear(pooler, firstToken(h, real), settings.hidden_size, initial(settings)))) };
}

/** BERT (Devlin et al. 2018) as transformers' `BertModel` and the classes with a head, its names and keys. */
export const bert: Architecture<BertConfig> = {
  name: 'bert',
  description: 'BERT, and what is built like it, such as MiniLM (Hugging Face BertModel and its classes with a head)',
  config,
  classes,
  inputs: ({ type_vocab_size }) => (type_vocab_size > 1 ? typedTextInputs : textInputs),
  head: (settings) => ({ kind: headKind(classes, settings), size: headSize(headKind(classes, settings), settings) }),
  fit: (_example, head) => keysOfNewHead({ name: 'bert', classes }, head),
  stateDictPolicy,
  forward,
};

function headSize(kind: string, { hidden_size, vocab_size, num_labels }: BertConfig): number {
  if (kind === 'embedding') return hidden_size;
  return kind === 'masked-lm' ? vocab_size : num_labels;
}
