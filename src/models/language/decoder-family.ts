import type { z } from 'zod';
import type { Architecture, FeedForward } from '../architecture.js';
import { headKind, keysOfNewHead } from '../head.js';
import type { TextDecoder } from '../text-decoder.js';
import { type DecoderSettings, decoder, decoderCache, nextTokenLogits } from './decoder.js';
import { type DecoderNames, decoderHead, decoderOutput, decoderPolicy, type HeadConfig } from './decoder-heads.js';
import { textInputs } from './tokens.js';

/** What a family of decoders is. */
interface DecoderFamily<Config> {
  /** transformers' `model_type`. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Kinds of head by class of transformers. */
  readonly classes: Readonly<Record<string, string>>;
  /** Keys of its `config.json`. */
  readonly config: z.ZodObject & z.ZodType<Config>;
  /** Its feed-forward layers, where they can be written otherwise; default they cannot. */
  readonly feedForward?: FeedForward<Config>;
}

/** An architecture that computes with a decoder, with any head. */
export function decoderArchitecture<Config extends HeadConfig>(
  { name, description, classes, config, feedForward }: DecoderFamily<Config>,
  decoder: TextDecoder<Config>,
  { names, width, tied }: { names: DecoderNames; width: (config: Config) => number; tied: (config: Config) => boolean },
): Architecture<Config> {
  const kindOf = (given: Config) => headKind(classes, given);
  return {
    name,
    description,
    config,
    classes,
    decoder,
    ...(feedForward && { feedForward }),
    inputs: () => textInputs,
    head: (given) => decoderHead(classes, given, width(given)),
    fit: (_example, need) => keysOfNewHead({ name, classes }, need),
    stateDictPolicy: (given) => decoderPolicy(kindOf(given), names, tied(given)),
    forward(scope, { input_ids, attention_mask: mask }, given) {
      const { hidden } = decoder.layers(scope, { input_ids, attention_mask: mask }, given);
      const nextToken = () => decoder.nextToken(scope, hidden, given);
      return decoderOutput(scope, { hidden, mask, nextToken, names }, kindOf(given), given);
    },
  };
}

const llamaNames: DecoderNames = {
  base: 'model.',
  table: 'model.embed_tokens.weight',
  tokenHead: 'score',
  saved: ['*rotary_emb.inv_freq'],
};

/** An architecture of the Llama family, by what its member states differently. */
export function llamaFamily<Config extends HeadConfig>(
  family: DecoderFamily<Config>,
  settings: (config: Config) => DecoderSettings,
): Architecture<Config> {
  const member: TextDecoder<Config> = {
    cache: (given) => decoderCache(settings(given)),
    layers: (scope, inputs, given) => decoder(scope.child('model'), inputs, settings(given)),
    nextToken: (scope, hidden, given) => nextTokenLogits(scope, hidden, settings(given)),
  };
  return decoderArchitecture(family, member, {
    names: llamaNames,
    width: (given) => settings(given).width,
    tied: (given) => settings(given).tied,
  });
}
