import { z } from 'zod';
import { add, cast, conv, mul, reshape, type Tensor, transpose } from '../../graph/index.js';
import {
  activations,
  embedding,
  embeddingTable,
  layerNorm,
  linear,
  normal,
  type Scope,
  zeros,
} from '../../nn/index.js';
import type { Tensors } from '../architecture.js';
import { familyKeys } from '../head.js';
import { bertBlock } from './bert-block.js';
import { type Distances, disentangledAttention } from './disentangled-attention.js';
import { encoderArchitecture } from './encoder-family.js';
import { classes as classLogits, decoderNames, vocabularyLogits } from './encoder-heads.js';
import { activation, bertKeys, checkSizes, classifierDropout, count, dropout, initial } from './keys.js';
import { firstToken } from './pooling.js';
import { paddingBias, requireContext, textPositions } from './tokens.js';

const classes = {
  DebertaV2Model: 'embedding',
  DebertaV2ForSequenceClassification: 'classifier',
  DebertaV2ForTokenClassification: 'token-classifier',
  DebertaV2ForMaskedLM: 'masked-lm',
} as const;

/** Parts of a text such as `p2c|c2p`. */
const partsOf = (text: string) =>
  text
    .toLowerCase()
    .split('|')
    .map((part) => part.trim());
const isList = (known: readonly string[]) => (text: string) => partsOf(text).every((part) => known.includes(part));
const terms = ['c2p', 'p2c'];

const config = z
  .strictObject({
    ...familyKeys('deberta-v2', classes),
    ...bertKeys,
    vocab_size: count(128_100).describe('number of tokens of the vocabulary'),
    hidden_size: count(1536).describe('width of the residual stream'),
    num_hidden_layers: count(24).describe('number of blocks'),
    num_attention_heads: count(24).describe('attention heads; they divide the width'),
    intermediate_size: count(6144).describe('width of the hidden layer of a block'),
    layer_norm_eps: z.number().positive().default(1e-7).describe('epsilon of layer norms'),
    type_vocab_size: z.int().min(0).default(0).describe('number of texts that an example may be of; 0: not told'),
    embedding_size: z.int().min(1).optional().describe("width of tokens' embeddings; default hidden_size"),
    attention_head_size: z.int().min(1).optional().describe('width of a head: hidden_size / num_attention_heads'),
    relative_attention: z.boolean().default(false).describe('whether attention knows how far apart tokens are'),
    pos_att_type: z
      .union([
        z.string().refine(isList(terms), { error: 'expected c2p, p2c or both, separated by |' }),
        z.array(z.enum(terms)),
      ])
      .nullable()
      .default(null)
      .describe('terms of scores with distances: c2p, p2c or both'),
    max_relative_positions: z.int().default(-1).describe('longest distance; below 1: max_position_embeddings'),
    position_buckets: z
      .int()
      .refine((value) => value < 1 || value > 3, { error: 'expected at least 4, or less than 1 for none' })
      .default(-1)
      .describe('buckets of distances of one sign; below 1: one a distance'),
    position_biased_input: z
      .boolean()
      .default(true)
      .describe('whether positions have a vector that is added to tokens'),
    share_att_key: z.boolean().default(false).describe('whether distances are projected as tokens are'),
    norm_rel_ebd: z
      .string()
      .refine(isList(['none', 'layer_norm']), { error: 'expected none or layer_norm' })
      .default('none')
      .describe('how vectors of distances are normalized'),
    conv_kernel_size: z
      .int()
      .min(0)
      .max(101)
      .refine((value) => value === 0 || value % 2 === 1, { error: 'expected an odd number, or 0 for none' })
      .default(0)
      .describe('tokens that a convolution beside the first block sees; 0: none'),
    conv_groups: count(1).describe('groups of channels of the convolution'),
    conv_act: activation('tanh').describe('activation of the convolution'),
    pooler_hidden_size: z.int().min(1).optional().describe('width of the pooler: hidden_size'),
    pooler_hidden_act: activation('gelu').describe('activation of the pooler'),
    pooler_dropout: dropout(0).describe('share that training drops before the pooler'),
    cls_dropout: classifierDropout,
    legacy: z.boolean().default(true).describe('whether masked words are predicted by BERT’s head or by DeBERTa’s own'),
  })
  .superRefine((settings, context) => {
    checkSizes(settings, context);
    const { hidden_size, num_attention_heads, attention_head_size, pooler_hidden_size, conv_groups } = settings;
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    const size = hidden_size / num_attention_heads;
    if (attention_head_size !== undefined && attention_head_size !== size) {
      refuse(
        'attention_head_size',
        `expected hidden_size / num_attention_heads, ${size}, found ${attention_head_size}`,
      );
    }
    if (pooler_hidden_size !== undefined && pooler_hidden_size !== hidden_size) {
      refuse('pooler_hidden_size', `expected hidden_size, ${hidden_size}, found ${pooler_hidden_size}`);
    }
    if (hidden_size % conv_groups !== 0) {
      refuse('conv_groups', `expected a divisor of hidden_size ${hidden_size}, found ${conv_groups}`);
    }
  });

/** Configuration of {@link debertaV2}: Hugging Face's keys. */
export type DebertaV2Config = z.infer<typeof config>;

const widthOfWords = ({ embedding_size, hidden_size }: DebertaV2Config) => embedding_size ?? hidden_size;

/** Nothing where there is padding: `[batch, tokens, 1]` times a tensor. */
const withoutPadding = (h: Tensor, real: Tensor) => mul(h, cast(reshape(real, [...real.shape, 1]), h.dtype));

/** Tokens, and what else there is a vector of, added, normalized: `[batch, tokens, width]`, zero at padding. */
function embeddings(scope: Scope, inputs: Tensors, real: Tensor, settings: DebertaV2Config): Tensor {
  const { hidden_size, vocab_size, max_position_embeddings, type_vocab_size, pad_token_id } = settings;
  const { initializer_range: deviation, layer_norm_eps: epsilon, hidden_dropout_prob } = settings;
  const width = widthOfWords(settings);
  const table = (name: string, ids: Tensor, length: number, paddingIndex?: number | null) =>
    embedding(scope.child(name), ids, { count: length, width, deviation, paddingIndex });
  let h = table('word_embeddings', inputs.input_ids, vocab_size, pad_token_id);
  if (settings.position_biased_input) {
    h = add(h, table('position_embeddings', textPositions(real), max_position_embeddings));
  }
  if (type_vocab_size > 0) {
    const types = inputs.token_type_ids ?? scope.graph.constant([0], [1, 1], 'int64');
    h = add(h, table('token_type_embeddings', types, type_vocab_size));
  }
  if (width !== hidden_size)
    h = linear(scope.child('embed_proj'), h, hidden_size, { ...initial(settings), bias: false });
  const normed = layerNorm(scope.child('LayerNorm'), h, { epsilon });
  return scope.dropout(withoutPadding(normed, real), hidden_dropout_prob);
}

/** The vectors of distances, of the encoder's scope; none where attention does not know distances. */
function distancesOf(scope: Scope, settings: DebertaV2Config): Distances | undefined {
  const { hidden_size: width, initializer_range: deviation, position_buckets, layer_norm_eps: epsilon } = settings;
  if (!settings.relative_attention) return undefined;
  const { max_relative_positions: given, max_position_embeddings } = settings;
  const most = given < 1 ? max_position_embeddings : given;
  const span = position_buckets > 0 ? position_buckets : most;
  const table = embeddingTable(scope.child('rel_embeddings'), { count: 2 * span, width, deviation });
  const isNormed = partsOf(settings.norm_rel_ebd).includes('layer_norm');
  return { table: isNormed ? layerNorm(scope.child('LayerNorm'), table, { epsilon }) : table, span, most };
}

/**
 * What a convolution over neighbouring tokens adds to the first block (`ConvLayer`).
 *
 * @param x - What the block was given, zero at padding, `[batch, tokens, width]`.
 * @param h - What it made of that.
 */
function convolved(scope: Scope, x: Tensor, h: Tensor, real: Tensor, settings: DebertaV2Config): Tensor {
  const { hidden_size: width, conv_kernel_size: kernel, conv_groups: groups, initializer_range } = settings;
  const inner = scope.child('conv');
  const weight = inner.parameter('weight', [width, width / groups, kernel], normal(initializer_range));
  const bias = inner.parameter('bias', [width], zeros);
  const maps = conv(transpose(x, [0, 2, 1]), weight, bias, { padding: (kernel - 1) / 2, groups });
  const own = withoutPadding(transpose(maps, [0, 2, 1]), real);
  const added = add(h, activations[settings.conv_act](scope.dropout(own, settings.hidden_dropout_prob)));
  return withoutPadding(layerNorm(scope.child('LayerNorm'), added, { epsilon: settings.layer_norm_eps }), real);
}

function encode(base: Scope, inputs: Tensors, real: Tensor, settings: DebertaV2Config): Tensor {
  const { position_biased_input, max_position_embeddings, pos_att_type, num_hidden_layers } = settings;
  // Distances beyond the longest share its vector: only positions that have one of their own end.
  if (position_biased_input) requireContext('deberta-v2', real.shape[1], max_position_embeddings);
  const encoder = base.child('encoder');
  const given = {
    bias: paddingBias(real),
    terms: typeof pos_att_type === 'string' ? partsOf(pos_att_type) : (pos_att_type ?? []),
    distances: distancesOf(encoder, settings),
  };
  const first = embeddings(base.child('embeddings'), inputs, real, settings);
  let h = first;
  for (let layer = 0; layer < num_hidden_layers; layer++) {
    const block = encoder.child('layer').child(`${layer}`);
    h = bertBlock(block, h, settings, (inner, x) => disentangledAttention(inner, x, given, settings));
    if (layer === 0 && settings.conv_kernel_size > 0) h = convolved(encoder.child('conv'), first, h, real, settings);
    base.hiddenLayer(h);
  }
  return h;
}

/** DeBERTa v2 and v3 (He et al. 2021) as transformers' `DebertaV2Model` and the classes with a head, its names and keys. */
export const debertaV2 = encoderArchitecture<DebertaV2Config>({
  name: 'deberta-v2',
  description: 'DeBERTa v2 and v3, Llama Prompt Guard 2 (Hugging Face DebertaV2Model and its classes with a head)',
  classes,
  config,
  prefix: 'deberta',
  otherHeads: ['mask_predictions.*', 'qa_outputs.*'],
  width: ({ hidden_size }) => hidden_size,
  typed: ({ type_vocab_size }) => type_vocab_size > 1,
  encode,
  heads: {
    classifier: {
      tensors: ['pooler.*', 'classifier.*'],
      logits({ scope, h, real }, settings) {
        const { hidden_size, pooler_dropout, pooler_hidden_act, cls_dropout, hidden_dropout_prob } = settings;
        const first = scope.dropout(firstToken(h, real), pooler_dropout);
        const pooled = linear(scope.child('pooler').child('dense'), first, hidden_size, initial(settings));
        const vector = activations[pooler_hidden_act](pooled);
        return classLogits(scope.child('classifier'), vector, settings, cls_dropout ?? hidden_dropout_prob);
      },
    },
    'token-classifier': {
      tensors: ['classifier.*'],
      logits: ({ scope, h }, settings) =>
        classLogits(scope.child('classifier'), h, settings, settings.hidden_dropout_prob),
    },
    'masked-lm': {
      tensors: ['cls.predictions.*', 'lm_predictions.*'],
      logits({ scope, base, h }, settings) {
        const { legacy, hidden_act, layer_norm_eps: epsilon } = settings;
        const head = legacy ? scope.child('cls').child('predictions') : scope.child('lm_predictions').child('lm_head');
        const inner = legacy ? head.child('transform') : head;
        const dense = linear(inner.child('dense'), h, widthOfWords(settings), initial(settings));
        const vectors = layerNorm(inner.child('LayerNorm'), activations[hidden_act](dense), { epsilon });
        const words = base.child('embeddings').child('word_embeddings');
        // DeBERTa's own head has no decoder: it always predicts by the embeddings.
        const tied = { ...settings, tie_word_embeddings: settings.tie_word_embeddings || !legacy };
        return vocabularyLogits(vectors, { words, bias: head, decoder: head.child('decoder') }, tied);
      },
    },
  },
  more(settings, kind) {
    const words = 'deberta.embeddings.word_embeddings.weight';
    const { ties, ignorable = [] } =
      kind === 'masked-lm' && settings.legacy ? decoderNames('cls.predictions', words, settings) : {};
    const unused = [
      ...(settings.position_biased_input ? [] : ['embeddings.position_embeddings.*']),
      ...(settings.relative_attention ? [] : ['encoder.LayerNorm.*', 'encoder.rel_embeddings.*']),
      settings.legacy ? 'lm_predictions.*' : 'cls.predictions.*',
    ];
    return { ties, ignorable: [...ignorable, ...unused] };
  },
});
