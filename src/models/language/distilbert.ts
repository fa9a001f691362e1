import { z } from 'zod';
import { add, relu, type Tensor } from '../../graph/index.js';
import { activations, embedding, layerNorm, linear, multiHeadAttention, type Scope } from '../../nn/index.js';
import { familyKeys } from '../head.js';
import { encoderArchitecture } from './encoder-family.js';
import { classes as classLogits, vocabularyLogits } from './encoder-heads.js';
import { activation, checkSizes, count, dropout, encoderKeys, initial } from './keys.js';
import { firstToken } from './pooling.js';
import { paddingBias, requireContext, textPositions } from './tokens.js';

const classes = {
  DistilBertModel: 'embedding',
  DistilBertForSequenceClassification: 'classifier',
  DistilBertForTokenClassification: 'token-classifier',
  DistilBertForMaskedLM: 'masked-lm',
} as const;

const config = z
  .strictObject({
    ...familyKeys('distilbert', classes),
    ...encoderKeys,
    dim: count(768).describe('width of the residual stream'),
    n_layers: count(6).describe('number of blocks'),
    n_heads: count(12).describe('attention heads; they divide the width'),
    hidden_dim: count(3072).describe('width of the hidden layer of a block'),
    activation: activation('gelu').describe('activation of the hidden layer'),
    dropout: dropout(0.1).describe('share of the residual stream that training drops'),
    attention_dropout: dropout(0.1).describe('share of the attention weights that training drops'),
    seq_classif_dropout: dropout(0.2).describe('share that training drops before the classifier of texts'),
    sinusoidal_pos_embds: z.boolean().default(false).describe('whether the vectors of positions begin as sines'),
  })
  .superRefine(({ dim, n_heads, ...others }, context) => {
    checkSizes({ hidden_size: dim, num_attention_heads: n_heads, ...others }, context, {
      width: 'dim',
      heads: 'n_heads',
    });
  });

/** Configuration of {@link distilbert}: Hugging Face's keys. */
export type DistilBertConfig = z.infer<typeof config>;

const epsilon = 1e-12;

function embeddings(scope: Scope, ids: Tensor, real: Tensor, settings: DistilBertConfig): Tensor {
  const { dim: width, initializer_range: deviation, vocab_size, max_position_embeddings, pad_token_id } = settings;
  const words = { count: vocab_size, width, deviation, paddingIndex: pad_token_id };
  const places = { count: max_position_embeddings, width, deviation, sinusoidal: settings.sinusoidal_pos_embds };
  const sum = add(
    embedding(scope.child('word_embeddings'), ids, words),
    embedding(scope.child('position_embeddings'), textPositions(real), places),
  );
  return scope.dropout(layerNorm(scope.child('LayerNorm'), sum, { epsilon }), settings.dropout);
}

/** A block: attention, then two linear layers with an activation; each is added to its input, and normalized after that. */
function block(scope: Scope, x: Tensor, bias: Tensor, settings: DistilBertConfig): Tensor {
  const { dim, n_heads: heads, attention_dropout, hidden_dim } = settings;
  const attention = scope.child('attention');
  const project = (name: string, from: Tensor) => linear(attention.child(name), from, dim, initial(settings));
  const [query, key, value] = ['q_lin', 'k_lin', 'v_lin'].map((name) => project(name, x));
  const mixed = multiHeadAttention(attention, { query, key, value }, { heads, bias, dropout: attention_dropout });
  const h = layerNorm(scope.child('sa_layer_norm'), add(project('out_lin', mixed), x), { epsilon });
  const ffn = scope.child('ffn');
  const wide = activations[settings.activation](linear(ffn.child('lin1'), h, hidden_dim, initial(settings)));
  const out = scope.dropout(linear(ffn.child('lin2'), wide, dim, initial(settings)), settings.dropout);
  return layerNorm(scope.child('output_layer_norm'), add(out, h), { epsilon });
}

/** DistilBERT (Sanh et al. 2019) as transformers' `DistilBertModel` and the classes with a head, its names and keys. */
export const distilbert = encoderArchitecture<DistilBertConfig>({
  name: 'distilbert',
  description: 'DistilBERT (Hugging Face DistilBertModel and its classes with a head)',
  classes,
  config,
  prefix: 'distilbert',
  otherHeads: ['qa_outputs.*'],
  width: ({ dim }) => dim,
  typed: () => false,
  encode(base, { input_ids }, real, settings) {
    requireContext('distilbert', real.shape[1], settings.max_position_embeddings);
    const bias = paddingBias(real);
    let h = embeddings(base.child('embeddings'), input_ids, real, settings);
    for (let layer = 0; layer < settings.n_layers; layer++) {
      h = base.hiddenLayer(block(base.child('transformer').child('layer').child(`${layer}`), h, bias, settings));
    }
    return h;
  },
  heads: {
    classifier: {
      tensors: ['pre_classifier.*', 'classifier.*'],
      logits({ scope, h, real }, settings) {
        const first = relu(linear(scope.child('pre_classifier'), firstToken(h, real), settings.dim, initial(settings)));
        return classLogits(scope.child('classifier'), first, settings, settings.seq_classif_dropout);
      },
    },
    'token-classifier': {
      tensors: ['classifier.*'],
      logits: ({ scope, h }, settings) => classLogits(scope.child('classifier'), h, settings, settings.dropout),
    },
    'masked-lm': {
      tensors: ['vocab_transform.*', 'vocab_layer_norm.*', 'vocab_projector.*'],
      logits({ scope, base, h }, settings) {
        const dense = linear(scope.child('vocab_transform'), h, settings.dim, initial(settings));
        const vectors = layerNorm(scope.child('vocab_layer_norm'), activations[settings.activation](dense), {
          epsilon,
        });
        const words = base.child('embeddings').child('word_embeddings');
        const projector = scope.child('vocab_projector');
        return vocabularyLogits(vectors, { words, bias: projector, decoder: projector }, settings);
      },
    },
  },
  more: ({ tie_word_embeddings }, kind) =>
    kind === 'masked-lm' && tie_word_embeddings
      ? { ties: { 'vocab_projector.weight': 'distilbert.embeddings.word_embeddings.weight' } }
      : {},
});
