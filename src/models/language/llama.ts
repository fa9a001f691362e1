import { z } from 'zod';
import type { Tensor } from '../../graph/index.js';
import type { Scope } from '../../nn/index.js';
import { type ModelSpec, modelOf } from '../architecture.js';
import { type DecoderSettings, decoderFeedForward } from './decoder.js';
import { activationKey, checkDecoder, commonSettings, decoderFamilyKeys, llamaKeys } from './decoder-config.js';
import { llamaFamily } from './decoder-family.js';
import { decoderClasses } from './decoder-heads.js';
import { deepFeedForward } from './keys.js';
import { ropeKeys, ropeOf } from './rope-parameters.js';

const classes = decoderClasses('Llama');

const ownKeys = {
  ...llamaKeys({ vocab_size: 32_000, intermediate_size: 11_008, max_position_embeddings: 2048 }),
  hidden_act: activationKey('silu'),
  ...ropeKeys,
  attention_bias: z.boolean().default(false).describe('whether the projections of attention have a bias'),
  mlp_bias: z.boolean().default(false).describe('whether those of the feed-forward layer have one'),
};
const { intermediate_size: _, mlp_bias: __, ...otherKeys } = ownKeys;

const keys = z.strictObject({ ...decoderFamilyKeys('llama', classes), ...ownKeys });
const deepKeys = z.strictObject({
  ...decoderFamilyKeys('llama-dlr', classes),
  ...otherKeys,
  feed_forward: deepFeedForward,
});
const config = keys.superRefine((given, context) => checkDecoder(given, { rope_parameters: ropeOf(given) }, context));
const deepConfig = deepKeys.superRefine((given, context) =>
  checkDecoder(given, { rope_parameters: ropeOf(given) }, context),
);

/** Configuration of {@link llama}: Hugging Face's keys. */
export type LlamaConfig = z.infer<typeof config>;
/** Configuration of {@link llamaDlr}: the same, and how deep its feed-forward layers are. */
export type LlamaDlrConfig = z.infer<typeof deepConfig>;

function settingsOf(name: string, given: LlamaConfig | LlamaDlrConfig): DecoderSettings {
  const rope = ropeOf(given);
  const { attention_bias: bias } = given;
  return {
    ...commonSettings(name, given),
    layers: Array.from({ length: given.num_hidden_layers }, () => ({ rope })),
    biases: { queryKeyValue: bias, output: bias, feedForward: 'mlp_bias' in given && given.mlp_bias },
  };
}

/** How a family writes a feed-forward layer. */
const written = (name: string) => ({
  write: (scope: Scope, x: Tensor, given: LlamaConfig | LlamaDlrConfig) =>
    decoderFeedForward(scope, x, settingsOf(name, given)),
});

/** Llama with a deep network of low rank in the place of each feed-forward layer: what DLR-Lock makes of it. transformers does not know it. */
export const llamaDlr = llamaFamily<LlamaDlrConfig>(
  {
    name: 'llama-dlr',
    description: 'Llama with deep networks of low rank as feed-forward layers, which the lock dlr makes',
    classes,
    config: deepConfig,
    feedForward: {
      ...written('llama-dlr'),
      plain({ feed_forward: _, architecture: __, model_type: ___, ...given }, intermediate_size): ModelSpec {
        return modelOf(llama, config.strip().parse({ ...given, intermediate_size }));
      },
    },
  },
  (given) => settingsOf('llama-dlr', given),
);

/**
 * Llama 1 to 3, SmolLM2 and the many that have their form.
 *
 * @see Touvron et al., "LLaMA", 2023; transformers' `LlamaModel`.
 */
export const llama = llamaFamily<LlamaConfig>(
  {
    name: 'llama',
    description: 'Llama 1 to 3, SmolLM2 (Hugging Face LlamaForCausalLM)',
    classes,
    config,
    feedForward: {
      ...written('llama'),
      deep(
        { intermediate_size: _, mlp_bias: __, architecture: ___, model_type: ____, ...given },
        feed_forward,
      ): ModelSpec {
        return modelOf(llamaDlr, deepConfig.strip().parse({ ...given, feed_forward }));
      },
    },
  },
  (given) => settingsOf('llama', given),
);
