import type { z } from 'zod';
import type { Architecture } from '../architecture.js';
import { headKind } from '../head.js';
import { type DecoderSettings, decoder, nextTokenLogits } from './decoder.js';
import { decoderHead, decoderOutput, decoderPolicy, fitDecoder, type HeadConfig } from './decoder-heads.js';

/** What a member of the Llama family is. */
interface DecoderFamily<Config> {
  /** transformers' `model_type`. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Kinds of head by class of transformers. */
  readonly classes: Readonly<Record<string, string>>;
  /** Keys of its `config.json`. */
  readonly config: z.ZodObject & z.ZodType<Config>;
  /** In what it differs from the others. */
  settings(config: Config): DecoderSettings;
}

/** An architecture of the Llama family. */
export function decoderFamily<Config extends HeadConfig>(family: DecoderFamily<Config>): Architecture<Config> {
  const { name, description, classes, config, settings } = family;
  return {
    name,
    description,
    config,
    classes,
    inputs: () => ({
      input_ids: { shape: [null], dtype: 'int64' },
      attention_mask: { shape: [null], dtype: 'int64' },
    }),
    head: (given) => decoderHead(classes, given, settings(given).width),
    fit: (_example, need) => fitDecoder(classes, need),
    stateDictPolicy: (given) =>
      decoderPolicy(headKind(classes, given), {
        base: 'model.',
        table: 'model.embed_tokens.weight',
        tied: settings(given).tied,
        saved: ['*rotary_emb.inv_freq'],
      }),
    forward(scope, { input_ids, attention_mask }, given) {
      const own = settings(given);
      const { hidden } = decoder(scope.child('model'), { input_ids, attention_mask }, own);
      const nextToken = (of: typeof hidden) => nextTokenLogits(scope, of, own);
      return decoderOutput(scope, { hidden, mask: attention_mask, nextToken }, headKind(classes, given), given);
    },
  };
}
