import { z } from 'zod';
import { add, cast, equal, gelu, matMul, mul, not, type Tensor, tanh } from '../../graph/index.js';
import { layerNorm, linear } from '../../nn/index.js';
import { familyKeys } from '../head.js';
import { bertEncoder } from './bert-encoder.js';
import { encoderArchitecture } from './encoder-family.js';
import { classes as classLogits, decoderNames, vocabularyLogits } from './encoder-heads.js';
import { bertKeys, checkSizes, classifierDropout, count, initial } from './keys.js';
import { firstToken } from './pooling.js';

/**
 * The position of each token: padding has the number of padding, other tokens the numbers after it, counted from the first. So
 * it does not matter where the padding is.
 *
 * @param ids - int64 `[batch, tokens]`.
 * @returns int64 `[batch, tokens]`.
 * @see `RobertaEmbeddings.create_position_ids_from_input_ids` of transformers.
 */
export function positionsFromPadding(ids: Tensor, padding: number): Tensor {
  const tokens = ids.shape[1];
  const upTo = Float64Array.from({ length: tokens * tokens }, (_, at) =>
    Number(at % tokens >= Math.floor(at / tokens)),
  );
  // In float64, which counts exactly and is rounded to no 16 bits.
  const counts = cast(not(equal(ids, padding)), 'float64');
  const running = matMul(counts, ids.graph.constant(upTo, [tokens, tokens], 'float64'));
  return add(cast(mul(running, counts), 'int64'), padding);
}

/** RoBERTa's kind of models under one of the names that transformers gives them. */
function robertaFamily<Name extends string>(name: Name, className: string, description: string) {
  const classes: Readonly<Record<string, string>> = {
    [`${className}Model`]: 'embedding',
    [`${className}ForSequenceClassification`]: 'classifier',
    [`${className}ForTokenClassification`]: 'token-classifier',
    [`${className}ForMaskedLM`]: 'masked-lm',
  };
  const config = z
    .strictObject({
      ...familyKeys(name, classes),
      ...bertKeys,
      vocab_size: count(50_265).describe('number of tokens of the vocabulary'),
      pad_token_id: z.int().min(0).default(1).describe('number of the token of padding, and of its position'),
      max_position_embeddings: count(514).describe(
        'vectors of positions: tokens of the longest text, and those up to padding',
      ),
      type_vocab_size: count(1).describe('number of texts that an example may be of'),
      classifier_dropout: classifierDropout,
      position_embedding_type: z.literal('absolute').default('absolute').describe('kind of positions: a vector each'),
    })
    .superRefine(checkSizes)
    .superRefine(({ pad_token_id, max_position_embeddings: most }, context) => {
      if (most > pad_token_id + 1) return;
      const message = `expected more than pad_token_id + 1 = ${pad_token_id + 1}, found ${most}`;
      context.addIssue({ code: 'custom', path: ['max_position_embeddings'], message });
    });
  type Config = z.infer<typeof config>;
  const dropoutOf = ({ classifier_dropout, hidden_dropout_prob }: Config) => classifier_dropout ?? hidden_dropout_prob;
  return encoderArchitecture<Config>({
    name,
    description,
    classes,
    config,
    prefix: 'roberta',
    otherHeads: ['pooler.*', 'qa_outputs.*'],
    width: ({ hidden_size }) => hidden_size,
    typed: ({ type_vocab_size }) => type_vocab_size > 1,
    encode(base, inputs, real, settings) {
      const { pad_token_id: padding, max_position_embeddings } = settings;
      const ids = positionsFromPadding(inputs.input_ids, padding);
      const positions = { ids, most: max_position_embeddings - padding - 1, paddingIndex: padding };
      return bertEncoder(base, inputs, { real, positions }, settings);
    },
    heads: {
      classifier: {
        tensors: ['classifier.dense.*', 'classifier.out_proj.*'],
        logits({ scope, h, real }, settings) {
          const head = scope.child('classifier');
          const first = scope.dropout(firstToken(h, real), dropoutOf(settings));
          const dense = tanh(linear(head.child('dense'), first, settings.hidden_size, initial(settings)));
          return classLogits(head.child('out_proj'), dense, settings, dropoutOf(settings));
        },
      },
      'token-classifier': {
        tensors: ['classifier.weight', 'classifier.bias'],
        logits: ({ scope, h }, settings) => classLogits(scope.child('classifier'), h, settings, dropoutOf(settings)),
      },
      'masked-lm': {
        tensors: ['lm_head.*'],
        logits({ scope, base, h }, settings) {
          const { hidden_size, layer_norm_eps: epsilon } = settings;
          const head = scope.child('lm_head');
          const dense = gelu(linear(head.child('dense'), h, hidden_size, initial(settings)));
          const vectors = layerNorm(head.child('layer_norm'), dense, { epsilon });
          const words = base.child('embeddings').child('word_embeddings');
          return vocabularyLogits(vectors, { words, bias: head, decoder: head.child('decoder') }, settings);
        },
      },
    },
    more: (settings, kind) =>
      kind === 'masked-lm' ? decoderNames('lm_head', 'roberta.embeddings.word_embeddings.weight', settings) : {},
  });
}

/** RoBERTa (Liu et al. 2019) as transformers' `RobertaModel` and the classes with a head, its names and keys. */
export const roberta = robertaFamily(
  'roberta',
  'Roberta',
  'RoBERTa (Hugging Face RobertaModel and its classes with a head)',
);

/** XLM-RoBERTa (Conneau et al. 2019): RoBERTa under other names of classes. */
export const xlmRoberta = robertaFamily(
  'xlm-roberta',
  'XLMRoberta',
  'XLM-RoBERTa, RoBERTa of many languages (Hugging Face XLMRobertaModel and its classes with a head)',
);
