import { z } from 'zod';
import { familyKeys } from '../head.js';
import { labelKeys, maxClasses } from '../labels.js';
import { activationNames } from './decoder.js';
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

/** The defaults in which the families differ. */
interface Defaults {
  vocab_size: number;
  intermediate_size: number;
  max_position_embeddings: number;
  num_key_value_heads?: number;
}

/** Keys of the Llama family, with transformers' defaults. */
export function llamaKeys(defaults: Defaults) {
  const { vocab_size, intermediate_size, max_position_embeddings, num_key_value_heads } = defaults;
  return {
    vocab_size: z.int().min(1).default(vocab_size).describe('tokens of the vocabulary'),
    hidden_size: z.int().min(1).default(4096).describe('width of the residual stream'),
    intermediate_size: z.int().min(1).default(intermediate_size).describe('width of the hidden layer of a block'),
    num_hidden_layers: z.int().min(1).default(32).describe('number of blocks'),
    num_attention_heads: z.int().min(1).default(32).describe('heads of queries'),
    num_key_value_heads: (num_key_value_heads === undefined
      ? z.int().min(1).nullish()
      : z.int().min(1).nullable().default(num_key_value_heads)
    ).describe('heads of keys and values; they divide those of queries'),
    head_dim: z.int().min(2).nullish().describe('width of a head; default hidden_size / num_attention_heads'),
    max_position_embeddings: z.int().min(1).default(max_position_embeddings).describe('longest text, in tokens'),
    rms_norm_eps: z.number().positive().default(1e-6).describe('epsilon of norms'),
    initializer_range: z.number().min(0).default(0.02).describe('deviation of first weights'),
    attention_dropout: z.number().min(0).lt(1).nullish().describe('share of the attention weights that training drops'),
    tie_word_embeddings: z.boolean().default(false).describe('whether the head is the table of token embeddings'),
  };
}

/** The key of the activation, under a family's name for it. */
export function activationKey(name: (typeof activationNames)[number]) {
  return z.enum(activationNames).default(name).describe('activation of the gate');
}

/** What {@link llamaKeys} parse to. */
export type LlamaKeys = z.infer<z.ZodObject<ReturnType<typeof llamaKeys>>>;

/** Width of a head. */
export function headWidth({ head_dim, hidden_size, num_attention_heads }: LlamaKeys): number {
  return head_dim ?? Math.floor(hidden_size / num_attention_heads);
}

/** Refuses head counts and rotary embeddings that do not fit one another. */
export function checkHeads(
  config: LlamaKeys & { pad_token_id?: number | null },
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
  for (const [path, rope] of Object.entries(ropes)) {
    const missing = missingRopeKey(rope);
    if (missing !== undefined) {
      refuse(path, `expected a key ${missing} for rope_type ${rope.rope_type ?? rope.type}, found none`);
    }
  }
}
