import { z } from 'zod';
import {
  activationKey,
  checkDecoder,
  commonSettings,
  decoderFamilyKeys,
  llamaKeys,
  unsupported,
  windowKeys,
  windowsOf,
} from './decoder-config.js';
import { llamaFamily } from './decoder-family.js';
import { decoderClasses } from './decoder-heads.js';
import { ropeKeys, ropeOf } from './rope-parameters.js';

const sizes = {
  vocab_size: 151_936,
  intermediate_size: 22_016,
  num_key_value_heads: 32,
  max_position_embeddings: 32_768,
};

const classes2 = decoderClasses('Qwen2');
const keys2 = z.strictObject({
  ...decoderFamilyKeys('qwen2', classes2),
  ...llamaKeys(sizes),
  hidden_act: activationKey('silu'),
  ...ropeKeys,
  ...windowKeys,
  mlp_bias: unsupported('feed-forward layers of this family have no bias'),
});
const config2 = keys2.superRefine((given, context) => checkDecoder(given, { rope_parameters: ropeOf(given) }, context));

/** Configuration of {@link qwen2}: Hugging Face's keys. */
export type Qwen2Config = z.infer<typeof config2>;

/**
 * Qwen2 and Qwen2.5: Llama with biases of queries, keys and values.
 *
 * @see Yang et al., "Qwen2 Technical Report", 2024; transformers' `Qwen2Model`.
 */
export const qwen2 = llamaFamily<Qwen2Config>(
  {
    name: 'qwen2',
    description: 'Qwen2 and Qwen2.5 (Hugging Face Qwen2ForCausalLM)',
    classes: classes2,
    config: config2,
  },
  (given) => {
    const rope = ropeOf(given);
    return {
      ...commonSettings('qwen2', given),
      layers: windowsOf(given).map((window) => ({ rope, window })),
      biases: { queryKeyValue: true },
    };
  },
);

const classes3 = decoderClasses('Qwen3');
const keys3 = z.strictObject({
  ...decoderFamilyKeys('qwen3', classes3),
  ...llamaKeys({ ...sizes, head_dim: 128 }),
  hidden_act: activationKey('silu'),
  ...ropeKeys,
  ...windowKeys,
  attention_bias: z.boolean().default(false).describe('whether the projections of attention have a bias'),
  mlp_bias: unsupported('feed-forward layers of this family have no bias'),
});
const config3 = keys3.superRefine((given, context) => checkDecoder(given, { rope_parameters: ropeOf(given) }, context));

/** Configuration of {@link qwen3}: Hugging Face's keys. */
export type Qwen3Config = z.infer<typeof config3>;

/**
 * Qwen3 without experts: Llama with queries and keys normalized, a head at a time.
 *
 * @see Yang et al., "Qwen3 Technical Report", 2025; transformers' `Qwen3Model`.
 */
export const qwen3 = llamaFamily<Qwen3Config>(
  {
    name: 'qwen3',
    description: 'Qwen3 without experts (Hugging Face Qwen3ForCausalLM)',
    classes: classes3,
    config: config3,
  },
  (given) => {
    const rope = ropeOf(given);
    const { attention_bias: bias } = given;
    return {
      ...commonSettings('qwen3', given),
      layers: windowsOf(given).map((window) => ({ rope, window })),
      normalizesHeads: true,
      biases: { queryKeyValue: bias, output: bias },
    };
  },
);
