import { z } from 'zod';
import { activationKey, checkDecoder, commonSettings, decoderFamilyKeys, llamaKeys } from './decoder-config.js';
import { llamaFamily } from './decoder-family.js';
import { decoderClasses } from './decoder-heads.js';
import { ropeKeys, ropeOf } from './rope-parameters.js';

const classes = decoderClasses('Llama');

const keys = z.strictObject({
  ...decoderFamilyKeys('llama', classes),
  ...llamaKeys({ vocab_size: 32_000, intermediate_size: 11_008, max_position_embeddings: 2048 }),
  hidden_act: activationKey('silu'),
  ...ropeKeys,
  attention_bias: z.boolean().default(false).describe('whether the projections of attention have a bias'),
  mlp_bias: z.boolean().default(false).describe('whether those of the feed-forward layer have one'),
});

const config = keys.superRefine((given, context) => checkDecoder(given, { rope_parameters: ropeOf(given) }, context));

/** Configuration of {@link llama}: Hugging Face's keys. */
export type LlamaConfig = z.infer<typeof config>;

/**
 * Llama 1 to 3, SmolLM2 and the many that have their form.
 *
 * @see Touvron et al., "LLaMA", 2023; transformers' `LlamaModel`.
 */
export const llama = llamaFamily<LlamaConfig>(
  { name: 'llama', description: 'Llama 1 to 3, SmolLM2 (Hugging Face LlamaForCausalLM)', classes, config },
  (given) => {
    const rope = ropeOf(given);
    const { attention_bias: bias, mlp_bias: feedForward } = given;
    return {
      ...commonSettings('llama', given),
      layers: Array.from({ length: given.num_hidden_layers }, () => ({ rope })),
      biases: { queryKeyValue: bias, output: bias, feedForward },
    };
  },
);
