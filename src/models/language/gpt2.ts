import { z } from 'zod';
import { add, cast, lessOrEqual, matMul, max, split, sub, type Tensor, transpose } from '../../graph/index.js';
import {
  activations,
  attend,
  embedding,
  embeddingTable,
  joinHeads,
  layerNorm,
  normal,
  type Past,
  type Scope,
  splitHeads,
  zeros,
} from '../../nn/index.js';
import type { DecoderInputs, DecoderOutputs, KeyValue, TextDecoder } from '../text-decoder.js';
import { decoderFamilyKeys, unsupported } from './decoder-config.js';
import { decoderArchitecture } from './decoder-family.js';
import { CausalBiases, range } from './decoding.js';
import { activation, count, dropout } from './keys.js';
import { requireContext } from './tokens.js';

const classes = {
  GPT2LMHeadModel: 'causal-lm',
  GPT2ForSequenceClassification: 'classifier',
  GPT2ForTokenClassification: 'token-classifier',
  GPT2Model: 'embedding',
} as const;

const keys = z.strictObject({
  ...decoderFamilyKeys('gpt2', classes),
  vocab_size: count(50_257).describe('tokens of the vocabulary'),
  n_positions: count(1024).describe('longest text, in tokens'),
  n_embd: count(768).describe('width of the residual stream'),
  n_layer: count(12).describe('number of blocks'),
  n_head: count(12).describe('attention heads; they divide the width'),
  n_inner: z.int().min(1).nullish().describe('width of the hidden layer of a block; default 4 · n_embd'),
  activation_function: activation('gelu_new').describe('activation of a block'),
  resid_pdrop: dropout(0.1).describe('share of the residual stream that training drops'),
  embd_pdrop: dropout(0.1).describe('share of the embeddings that training drops'),
  attn_pdrop: dropout(0.1).describe('share of the attention weights that training drops'),
  layer_norm_epsilon: z.number().positive().default(1e-5).describe('epsilon of layer norms'),
  initializer_range: z.number().min(0).default(0.02).describe('deviation of first weights'),
  scale_attn_weights: z.boolean().default(true).describe('whether attention divides scores by √(n_embd / n_head)'),
  scale_attn_by_inverse_layer_idx: z
    .boolean()
    .default(false)
    .describe('whether it divides by 1, 2, … in layers 1, 2, …'),
  tie_word_embeddings: z.boolean().default(true).describe('whether the head is the table of token embeddings'),
  add_cross_attention: unsupported('there is no encoder beside it'),
});

const config = keys.superRefine(({ n_embd, n_head }, context) => {
  if (n_embd % n_head === 0) return;
  context.addIssue({
    code: 'custom',
    path: ['n_head'],
    message: `expected a divisor of n_embd ${n_embd}, found ${n_head}`,
  });
});

/** Configuration of {@link gpt2}: Hugging Face's keys. */
export type Gpt2Config = z.infer<typeof config>;

/** `x·W + b` with W stored as `[in, out]`, as transformers' `Conv1D`: parameters `weight` and `bias`. */
function conv1d(scope: Scope, x: Tensor, out: number, deviation: number): Tensor {
  const weight = scope.parameter('weight', [x.shape[2], out], normal(deviation));
  const output = add(matMul(x, weight), scope.parameter('bias', [out], zeros));
  return scope.layer(output, { input: x, isTransposed: true });
}

/**
 * The position of each token among those that count, int64 `[batch, tokens]`; padding has that of the token before it. So a text
 * gives the same behind padding: transformers counts so when it generates, and without `position_ids` from the array's
 * beginning instead.
 */
function positions({ attention_mask: mask, past }: DecoderInputs): Tensor {
  const [, tokens] = mask.shape;
  const { graph } = mask;
  const upTo = lessOrEqual(range(graph, tokens, [tokens, 1]), range(graph, tokens, [1, tokens]));
  const counted = matMul(cast(mask, 'float32'), cast(upTo, 'float32')); // how many up to each, itself included
  const own = cast(max(sub(counted, 1), 0), 'int64');
  return past ? add(own, past.length) : own;
}

/** The table of token embeddings. */
function tableOptions({ vocab_size: count, n_embd: width, initializer_range: deviation }: Gpt2Config) {
  return { count, width, deviation };
}

/** Causal attention of a block, and what it keeps. */
function attention(
  scope: Scope,
  x: Tensor,
  given: Gpt2Config,
  { layer, biases, before }: { layer: number; biases: ReturnType<CausalBiases['of']>; before?: KeyValue },
): KeyValue & { output: Tensor } {
  const { n_embd: width, n_head: heads, initializer_range: deviation } = given;
  const projected = split(conv1d(scope.child('c_attn'), x, 3 * width, deviation), [width, width, width], 2);
  const [query, key, value] = projected.map((part) => splitHeads(part, heads)); // [batch, heads, tokens, d]
  const scale =
    (given.scale_attn_weights ? (width / heads) ** -0.5 : 1) / (given.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  const past: Past | undefined = before && biases.past && { ...before, bias: biases.past };
  const inputs = { query, transposedKey: transpose(key, [0, 1, 3, 2]), value, past };
  const mixed = joinHeads(attend(scope, inputs, { scale, bias: biases.own, dropout: given.attn_pdrop }));
  return { key, value, output: residual(scope, mixed, given) };
}

/** The last projection of a sub-layer; its first weights are the smaller the more of them add up. */
function residual(scope: Scope, x: Tensor, { n_embd, n_layer, initializer_range, resid_pdrop }: Gpt2Config): Tensor {
  const out = conv1d(scope.child('c_proj'), x, n_embd, initializer_range / Math.sqrt(2 * n_layer));
  return scope.dropout(out, resid_pdrop);
}

const decoder: TextDecoder<Gpt2Config> = {
  cache: ({ n_layer: layers, n_head: heads, n_embd, n_positions: context }) => ({
    layers,
    heads,
    headWidth: n_embd / heads,
    context,
  }),
  layers(scope, inputs, given): DecoderOutputs {
    const { n_positions, n_embd: width, initializer_range: deviation, layer_norm_epsilon: epsilon } = given;
    requireContext('gpt2', inputs.input_ids.shape[1], n_positions);
    const model = scope.child('transformer');
    const tokens = embedding(model.child('wte'), inputs.input_ids, tableOptions(given));
    const places = embedding(model.child('wpe'), positions(inputs), { count: n_positions, width, deviation });
    let h = scope.dropout(add(tokens, places), given.embd_pdrop); // [batch, tokens, width]
    const biases = new CausalBiases(inputs).of();
    const present = Array.from({ length: given.n_layer }, (_, layer) => {
      const block = model.child('h').child(`${layer}`);
      const normed = layerNorm(block.child('ln_1'), h, { epsilon });
      const before = inputs.past?.layers[layer];
      const { output, ...kept } = attention(block.child('attn'), normed, given, { layer, biases, before });
      h = add(h, output);
      const mlp = block.child('mlp');
      const wide = conv1d(mlp.child('c_fc'), layerNorm(block.child('ln_2'), h, { epsilon }), inner(given), deviation);
      h = scope.hiddenLayer(add(h, residual(mlp, activations[given.activation_function](wide), given)));
      return kept;
    });
    return { hidden: layerNorm(model.child('ln_f'), h, { epsilon }), present };
  },
  nextToken(scope, hidden, given) {
    const { tie_word_embeddings: tied, vocab_size, n_embd, initializer_range } = given;
    const table = tied
      ? embeddingTable(scope.child('transformer').child('wte'), tableOptions(given))
      : scope.child('lm_head').parameter('weight', [vocab_size, n_embd], normal(initializer_range));
    return matMul(hidden, transpose(table));
  },
};

function inner({ n_inner, n_embd }: Gpt2Config): number {
  return n_inner ?? 4 * n_embd;
}

/**
 * GPT-2 and its like: learned positions, layer norms, weights stored as `[in, out]`.
 *
 * @see Radford et al., "Language Models are Unsupervised Multitask Learners", 2019; transformers' `GPT2Model`.
 */
export const gpt2 = decoderArchitecture<Gpt2Config>(
  { name: 'gpt2', description: 'GPT-2 (Hugging Face GPT2LMHeadModel)', classes, config },
  decoder,
  {
    names: {
      base: 'transformer.',
      table: 'transformer.wte.weight',
      tokenHead: 'classifier',
      saved: ['*.attn.bias', '*.attn.masked_bias'],
    },
    width: ({ n_embd }) => n_embd,
    tied: ({ tie_word_embeddings: tied }) => tied,
  },
);
