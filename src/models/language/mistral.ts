import { z } from 'zod';
import {
  activationKey,
  checkDecoder,
  commonSettings,
  decoderFamilyKeys,
  llamaKeys,
  unsupported,
} from './decoder-config.js';
import { llamaFamily } from './decoder-family.js';
import { decoderClasses } from './decoder-heads.js';
import { ropeKeys, ropeOf } from './rope-parameters.js';

const classes = decoderClasses('Mistral');
const sizes = {
  vocab_size: 32_000,
  intermediate_size: 14_336,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
};

const keys = z.strictObject({
  ...decoderFamilyKeys('mistral', classes),
  ...llamaKeys(sizes),
  hidden_act: activationKey('silu'),
  ...ropeKeys,
  sliding_window: z.int().min(1).nullable().default(4096).describe('how many tokens a token sees; null: all'),
  layer_types: unsupported('all layers of this family see alike (ministral is another one)'),
  attention_bias: unsupported('projections of this family have no bias'),
  mlp_bias: unsupported('projections of this family have no bias'),
});

const config = keys.superRefine(({ layer_types: _, ...given }, context) =>
  checkDecoder(given, { rope_parameters: ropeOf(given) }, context),
);

/** Configuration of {@link mistral}: Hugging Face's keys. */
export type MistralConfig = z.infer<typeof config>;

/**
 * Mistral 7B and its like: Llama with a window on what each layer sees.
 *
 * @see Jiang et al., "Mistral 7B", 2023; transformers' `MistralModel`.
 */
export const mistral = llamaFamily<MistralConfig>(
  { name: 'mistral', description: 'Mistral 7B (Hugging Face MistralForCausalLM)', classes, config },
  (given) => {
    const layer = { rope: ropeOf(given), window: given.sliding_window ?? undefined };
    return {
      ...commonSettings('mistral', given),
      layers: Array.from({ length: given.num_hidden_layers }, () => layer),
    };
  },
);
