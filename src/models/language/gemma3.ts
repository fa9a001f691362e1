import { z } from 'zod';
import {
  activationKey,
  checkDecoder,
  commonSettings,
  decoderFamilyKeys,
  layerTypes,
  llamaKeys,
  unsupported,
} from './decoder-config.js';
import { llamaFamily } from './decoder-family.js';
import { type RopeParameters, ropeKeys, ropeParameters } from './rope-parameters.js';

const classes = {
  Gemma3ForCausalLM: 'causal-lm',
  Gemma3TextForSequenceClassification: 'classifier',
  Gemma3TextModel: 'embedding',
} as const;

const sizes = {
  vocab_size: 262_208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  max_position_embeddings: 131_072,
  tie_word_embeddings: true,
};

const keys = z.strictObject({
  ...decoderFamilyKeys('gemma3_text', classes),
  ...llamaKeys(sizes),
  hidden_activation: activationKey('gelu_pytorch_tanh'),
  rope_parameters: z
    .looseObject({ full_attention: ropeParameters.nullish(), sliding_attention: ropeParameters.nullish() })
    .nullish()
    .describe('rotary position embeddings of both kinds of layers (transformers 5)'),
  rope_scaling: ropeKeys.rope_scaling.describe('scaling of those of layers that see all (transformers 4)'),
  rope_theta: ropeKeys.rope_theta.describe('base of the wavelengths of layers that see all (transformers 4)'),
  rope_local_base_freq: ropeKeys.rope_theta.describe('base of the wavelengths of the other layers (transformers 4)'),
  partial_rotary_factor: ropeKeys.partial_rotary_factor,
  attention_bias: z.boolean().default(false).describe('whether the projections of attention have a bias'),
  query_pre_attn_scalar: z.number().positive().default(256).describe('attention divides scores by its root'),
  sliding_window: z
    .int()
    .min(1)
    .nullable()
    .default(4096)
    .describe('how many tokens a layer sees that does not see all'),
  sliding_window_pattern: z
    .int()
    .min(1)
    .default(6)
    .describe('each so-manieth layer sees all, where layer_types does not say'),
  layer_types: layerTypes(),
  final_logit_softcapping: z.number().positive().nullish().describe('bound of the logits, by tanh'),
  attn_logit_softcapping: unsupported('transformers does not apply it in this family'),
  use_bidirectional_attention: unsupported('texts are read from their beginning here'),
});

const config = keys.superRefine((given, context) => checkDecoder(given, ropes(given), context));

/** Configuration of {@link gemma3}: Hugging Face's keys. */
export type Gemma3Config = z.infer<typeof config>;

/** The rotary position embeddings of both kinds of layers. */
function ropes(given: z.infer<typeof keys>): Record<'full_attention' | 'sliding_attention', RopeParameters> {
  const { full_attention: full, sliding_attention: sliding } = given.rope_parameters ?? {};
  const { rope_scaling: scaling, rope_theta, rope_local_base_freq } = given;
  const global = { ...full, ...scaling };
  return {
    full_attention: { ...global, rope_theta: global.rope_theta ?? rope_theta ?? 1_000_000 },
    sliding_attention: { ...sliding, rope_theta: sliding?.rope_theta ?? rope_local_base_freq ?? 10_000 },
  };
}

/**
 * The text models of Gemma 3: layers that see only so far back and, in between, layers that see all, each with wavelengths of
 * their own; norms before and after each sub-layer, of queries and keys too, with weights around 1.
 *
 * @see Gemma Team, "Gemma 3 Technical Report", 2025; transformers' `Gemma3TextModel`.
 */
export const gemma3 = llamaFamily<Gemma3Config>(
  { name: 'gemma3_text', description: 'Gemma 3, text only (Hugging Face Gemma3ForCausalLM)', classes, config },
  (given) => {
    const { full_attention, sliding_attention } = ropes(given);
    const near = { rope: sliding_attention, window: given.sliding_window ?? undefined };
    const { layer_types: types, sliding_window_pattern: pattern, attention_bias: bias } = given;
    return {
      ...commonSettings('gemma3_text', { ...given, hidden_act: given.hidden_activation }),
      layers: Array.from({ length: given.num_hidden_layers }, (_, layer) => {
        const seesAll = types ? types[layer] === 'full_attention' : (layer + 1) % pattern === 0;
        return seesAll ? { rope: full_attention } : near;
      }),
      normOffset: 1,
      normalizesHeads: true,
      normalizesOutputs: true,
      biases: { queryKeyValue: bias, output: bias },
      scale: given.query_pre_attn_scalar ** -0.5,
      embeddingScale: Math.sqrt(given.hidden_size),
      logitCap: given.final_logit_softcapping ?? undefined,
    };
  },
);
