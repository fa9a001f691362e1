import { z } from 'zod';
import type { ActivationName, DeepLowRankShape } from '../../nn/index.js';
import { familyKeys } from '../head.js';
import { labelKeys, maxClasses } from '../labels.js';
import { activation } from './keys.js';
import { missingRopeKey, type RopeParameters } from './rope-parameters.js';

/** Names a part of a model that is not read: the key must be absent, `null`, or say that the part is not there. */
export function unsupported(what: string) {
  return z
    .unknown()
    .refine((value) => value == null || value === false || value === 0, {
      error: ({ input }) => `expected none, ${what}, found ${JSON.stringify(input)?.slice(0, 80)}`,
    })
    .optional()
    .describe(`not read: ${what}`);
}

/** One token's number, several, or none. */
const tokens = z.union([z.int().min(0), z.array(z.int().min(0))]).nullish();

/** Keys of every decoder: the classes, special tokens, and what is refused. */
export function decoderFamilyKeys<Name extends string>(name: Name, classes: Readonly<Record<string, string>>) {
  return {
    ...familyKeys(name, classes),
    num_labels: z.int().min(1).max(maxClasses).default(2).describe('number of classes; follows from id2label'),
    ...labelKeys,
    problem_type: z.literal('single_label_classification').optional().describe('what the classes mean: one an example'),
    classifier_dropout: z.number().min(0).lt(1).nullish().describe('share that training drops before a head of tokens'),
    bos_token_id: tokens.describe('token that begins a text'),
    eos_token_id: tokens.describe('token that ends a text, or several'),
    pad_token_id: z.int().nullish().describe('token that fills up a batch'),
    quantization_config: unsupported('quantized weights are not read here'),
    num_experts: unsupported('mixtures of experts are not built'),
    num_local_experts: unsupported('mixtures of experts are not built'),
  };
}

/** The defaults in which the families differ; those left out are Llama's. */
interface Defaults {
  vocab_size: number;
  hidden_size?: number;
  intermediate_size: number;
  num_hidden_layers?: number;
  num_attention_heads?: number;
  /** Default as many as heads of queries. */
  num_key_value_heads?: number;
  /** Default by the width. */
  head_dim?: number;
  max_position_embeddings: number;
  tie_word_embeddings?: boolean;
}

/** Keys of the Llama family, with transformers' defaults. */
export function llamaKeys({
  vocab_size,
  hidden_size = 4096,
  intermediate_size,
  num_hidden_layers = 32,
  num_attention_heads = 32,
  num_key_value_heads,
  head_dim,
  max_position_embeddings,
  tie_word_embeddings = false,
}: Defaults) {
  return {
    vocab_size: z.int().min(1).default(vocab_size).describe('tokens of the vocabulary'),
    hidden_size: z.int().min(1).default(hidden_size).describe('width of the residual stream'),
    intermediate_size: z.int().min(1).default(intermediate_size).describe('width of the hidden layer of a block'),
    num_hidden_layers: z.int().min(1).default(num_hidden_layers).describe('number of blocks'),
    num_attention_heads: z.int().min(1).default(num_attention_heads).describe('heads of queries'),
    num_key_value_heads: unless(num_key_value_heads, z.int().min(1)).describe(
      'heads of keys and values; they divide those of queries',
    ),
    head_dim: unless(head_dim, z.int().min(2)).describe('width of a head; default hidden_size / num_attention_heads'),
    max_position_embeddings: z.int().min(1).default(max_position_embeddings).describe('longest text, in tokens'),
    rms_norm_eps: z.number().positive().default(1e-6).describe('epsilon of norms'),
    initializer_range: z.number().min(0).default(0.02).describe('deviation of first weights'),
    attention_dropout: z.number().min(0).lt(1).nullish().describe('share of the attention weights that training drops'),
    tie_word_embeddings: z
      .boolean()
      .default(tie_word_embeddings)
      .describe('whether the head is the table of token embeddings'),
  };
}

/** A number that may be left out, or be `null`: then it is the default where there is one. */
function unless(value: number | undefined, type: z.ZodInt): z.ZodType<number | null | undefined> {
  return value === undefined ? type.nullish() : type.nullable().default(value);
}

/** The key of the activation, under a family's name for it. */
export function activationKey(name: ActivationName) {
  return activation(name).describe('activation of the gate');
}

/** What {@link llamaKeys} parse to. */
export type LlamaKeys = z.infer<z.ZodObject<ReturnType<typeof llamaKeys>>>;

/** Keys by which some families see only so far back in some layers. */
export const windowKeys = {
  use_sliding_window: z.boolean().default(false).describe('whether some layers see only so far back'),
  sliding_window: z.int().min(1).nullable().default(4096).describe('how many tokens such a layer sees'),
  max_window_layers: z.int().min(0).default(28).describe('first layer that does, where layer_types does not say'),
  layer_types: layerTypes(),
};

/** The key that says which layers see how far. */
export function layerTypes() {
  return z
    .array(z.enum(['full_attention', 'sliding_attention']))
    .nullish()
    .describe('which layers see all, and which only so far back');
}

/** What {@link windowKeys} parse to. */
type Windowed = z.infer<z.ZodObject<typeof windowKeys>>;

/** What each layer sees, by {@link windowKeys}: the window of each, none where it sees all. */
export function windowsOf(config: Windowed & Pick<LlamaKeys, 'num_hidden_layers'>): (number | undefined)[] {
  const window = config.use_sliding_window ? (config.sliding_window ?? undefined) : undefined;
  return Array.from({ length: config.num_hidden_layers }, (_, layer) => {
    const type = config.layer_types?.[layer];
    const isNear = type === undefined ? layer >= config.max_window_layers : type === 'sliding_attention';
    return isNear ? window : undefined;
  });
}

/** What stands in a block after attention: a gated layer so wide, or a deep network of low rank. */
type FeedForwardKeys = Pick<LlamaKeys, 'intermediate_size'> | { readonly feed_forward: DeepLowRankShape };

/** Settings that all members of the family read from the same keys. */
export function commonSettings(
  name: string,
  config: Omit<LlamaKeys, 'intermediate_size'> & {
    hidden_act: ActivationName;
    pad_token_id?: number | null;
  } & FeedForwardKeys,
) {
  return {
    name,
    vocabulary: config.vocab_size,
    width: config.hidden_size,
    inner: 'feed_forward' in config ? config.feed_forward : config.intermediate_size,
    heads: config.num_attention_heads,
    keyHeads: config.num_key_value_heads ?? config.num_attention_heads,
    headWidth: headWidth(config),
    context: config.max_position_embeddings,
    activation: config.hidden_act,
    epsilon: config.rms_norm_eps,
    tied: config.tie_word_embeddings,
    dropout: config.attention_dropout ?? 0,
    deviation: config.initializer_range,
    padding: config.pad_token_id,
  };
}

/** Whether layers that see only so far back have no window: transformers refuses such a configuration too. */
function nearLayersLackWindow({ use_sliding_window = true, sliding_window }: Partial<Windowed>): boolean {
  return !use_sliding_window || sliding_window == null;
}

/** Width of a head. */
export function headWidth({
  head_dim,
  hidden_size,
  num_attention_heads,
}: Pick<LlamaKeys, 'head_dim' | 'hidden_size' | 'num_attention_heads'>): number {
  return head_dim ?? Math.floor(hidden_size / num_attention_heads);
}

/** Refuses heads, layers, padding and rotary embeddings that do not fit one another. */
export function checkDecoder(
  config: Omit<LlamaKeys, 'intermediate_size'> & Partial<Windowed> & { pad_token_id?: number | null },
  ropes: Readonly<Record<string, RopeParameters>>,
  context: z.RefinementCtx,
): void {
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  const { hidden_size, num_attention_heads: heads, num_key_value_heads: keys, vocab_size, pad_token_id } = config;
  if (hidden_size % heads !== 0) {
    refuse('num_attention_heads', `expected a divisor of hidden_size ${hidden_size}, found ${heads}`);
  }
  if (keys != null && heads % keys !== 0) {
    refuse('num_key_value_heads', `expected a divisor of num_attention_heads ${heads}, found ${keys}`);
  }
  const width = headWidth(config);
  if (width % 2 !== 0) refuse('head_dim', `expected an even number, found ${width}`);
  if (pad_token_id != null && (pad_token_id < 0 || pad_token_id >= vocab_size)) {
    refuse('pad_token_id', `expected a token of the vocabulary, below ${vocab_size}, found ${pad_token_id}`);
  }
  const { num_hidden_layers: layers, layer_types: types } = config;
  if (types && types.length < layers) refuse('layer_types', `expected ${layers} of them, found ${types.length}`);
  if (types?.includes('sliding_attention') && nearLayersLackWindow(config)) {
    refuse('layer_types', 'expected a sliding_window for layers of sliding_attention, found none');
  }
  for (const [path, rope] of Object.entries(ropes)) {
    const missing = missingRopeKey(rope);
    if (missing !== undefined) {
      refuse(path, `expected a key ${missing} for rope_type ${rope.rope_type ?? rope.type}, found none`);
    }
  }
}
