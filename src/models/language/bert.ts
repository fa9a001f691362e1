import { z } from 'zod';
import { type Tensor, tanh } from '../../graph/index.js';
import { activations, layerNorm, linear, type Scope } from '../../nn/index.js';
import { type ModelSpec, modelOf } from '../architecture.js';
import { familyKeys } from '../head.js';
import { bertFeedForward } from './bert-block.js';
import { bertEncoder } from './bert-encoder.js';
import { type EncoderFamily, encoderArchitecture } from './encoder-family.js';
import { classes as classLogits, decoderNames, vocabularyLogits } from './encoder-heads.js';
import { bertKeys, checkSizes, classifierDropout, count, deepFeedForward, initial } from './keys.js';
import { firstToken } from './pooling.js';
import { textPositions } from './tokens.js';

const classes = {
  BertModel: 'embedding',
  BertForSequenceClassification: 'classifier',
  BertForTokenClassification: 'token-classifier',
  BertForMaskedLM: 'masked-lm',
  BertForPreTraining: 'masked-lm',
} as const;

const keys = {
  ...bertKeys,
  type_vocab_size: count(2).describe('number of texts that an example may be of'),
  classifier_dropout: classifierDropout,
  position_embedding_type: z.literal('absolute').default('absolute').describe('kind of positions: a vector each'),
};
const { intermediate_size: _, ...otherKeys } = keys;

const config = z.strictObject({ ...familyKeys('bert', classes), ...keys }).superRefine(checkSizes);
const deepConfig = z
  .strictObject({ ...familyKeys('bert-dlr', classes), ...otherKeys, feed_forward: deepFeedForward })
  .superRefine(checkSizes);

/** Configuration of {@link bert}: Hugging Face's keys. */
export type BertConfig = z.infer<typeof config>;
/** Configuration of {@link bertDlr}: the same, and how deep its feed-forward layers are. */
export type BertDlrConfig = z.infer<typeof deepConfig>;

/** The vectors of tokens, before they are compared with the vocabulary's (`BertPredictionHeadTransform`). */
function transformed(scope: Scope, h: Tensor, settings: BertConfig | BertDlrConfig): Tensor {
  const { hidden_size, hidden_act, layer_norm_eps: epsilon } = settings;
  const dense = activations[hidden_act](linear(scope.child('dense'), h, hidden_size, initial(settings)));
  return layerNorm(scope.child('LayerNorm'), dense, { epsilon });
}

const dropoutOf = ({ classifier_dropout, hidden_dropout_prob }: BertConfig | BertDlrConfig) =>
  classifier_dropout ?? hidden_dropout_prob;

/** What BERT and its form with deep feed-forward layers have in common. */
const family: Omit<EncoderFamily<BertConfig | BertDlrConfig>, 'name' | 'description' | 'config'> = {
  classes,
  prefix: 'bert',
  otherHeads: ['cls.seq_relationship.*', 'qa_outputs.*'],
  width: ({ hidden_size }) => hidden_size,
  typed: ({ type_vocab_size }) => type_vocab_size > 1,
  encode(base, inputs, real, settings) {
    const positions = { ids: textPositions(real), most: settings.max_position_embeddings };
    return bertEncoder(base, inputs, { real, positions }, settings);
  },
  heads: {
    classifier: {
      tensors: ['pooler.*', 'classifier.*'],
      logits({ scope, base, h, real }, settings) {
        const pooler = linear(
          base.child('pooler').child('dense'),
          firstToken(h, real),
          settings.hidden_size,
          initial(settings),
        );
        return classLogits(scope.child('classifier'), tanh(pooler), settings, dropoutOf(settings));
      },
    },
    'token-classifier': {
      tensors: ['classifier.*'],
      logits: ({ scope, h }, settings) => classLogits(scope.child('classifier'), h, settings, dropoutOf(settings)),
    },
    'masked-lm': {
      tensors: ['cls.predictions.*'],
      logits({ scope, base, h }, settings) {
        const head = scope.child('cls').child('predictions');
        const words = base.child('embeddings').child('word_embeddings');
        const vectors = transformed(head.child('transform'), h, settings);
        return vocabularyLogits(vectors, { words, bias: head, decoder: head.child('decoder') }, settings);
      },
    },
  },
  more: (settings, kind) =>
    kind === 'masked-lm' ? decoderNames('cls.predictions', 'bert.embeddings.word_embeddings.weight', settings) : {},
};

const feedForward = { write: bertFeedForward };

/** BERT with a deep network of low rank in the place of each feed-forward layer: what DLR-Lock makes of it. transformers does not know it. */
export const bertDlr = encoderArchitecture<BertDlrConfig>({
  ...family,
  name: 'bert-dlr',
  description: 'BERT with deep networks of low rank as feed-forward layers, which the lock dlr makes',
  config: deepConfig,
  feedForward: {
    ...feedForward,
    plain({ feed_forward: _, architecture: __, model_type: ___, ...settings }, intermediate_size): ModelSpec {
      return modelOf(bert, config.strip().parse({ ...settings, intermediate_size }));
    },
  },
});

/** BERT (Devlin et al. 2018) as transformers' `BertModel` and the classes with a head, its names and keys. */
export const bert = encoderArchitecture<BertConfig>({
  ...family,
  name: 'bert',
  description: 'BERT, and what is built like it, such as MiniLM (Hugging Face BertModel and its classes with a head)',
  config,
  feedForward: {
    ...feedForward,
    deep({ intermediate_size: _, architecture: __, model_type: ___, ...settings }, feed_forward): ModelSpec {
      return modelOf(bertDlr, deepConfig.strip().parse({ ...settings, feed_forward }));
    },
  },
});
