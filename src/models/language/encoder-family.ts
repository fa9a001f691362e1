import type { z } from 'zod';
import type { Tensor } from '../../graph/index.js';
import type { Scope } from '../../nn/index.js';
import type { Architecture, FeedForward, Tensors } from '../architecture.js';
import { headKind, keysOfNewHead } from '../head.js';
import type { StateDictPolicy } from '../state-dict-policy.js';
import { sentenceEmbedding } from './pooling.js';
import { realTokens, textInputs, typedTextInputs } from './tokens.js';

/** Keys that every encoder's configuration has. */
export interface EncoderConfig {
  readonly architectures: readonly string[];
  readonly vocab_size: number;
  readonly num_labels: number;
}

/** What a head is made of. */
export interface HeadPart<Config> {
  /** Its tensors, as patterns of names without the family's prefix. */
  readonly tensors: readonly string[];
  /** Logits, `[batch, classes]` or `[batch, tokens, classes or vocabulary]`. */
  logits(parts: HeadInputs, config: Config): Tensor;
}

/** What a head computes from. */
export interface HeadInputs {
  /** Of the whole model. */
  readonly scope: Scope;
  /** Of the base model within it. */
  readonly base: Scope;
  /** A vector of each token, `[batch, tokens, width]`. */
  readonly h: Tensor;
  /** Which tokens are no padding, bool `[batch, tokens]`. */
  readonly real: Tensor;
}

/** A family of encoders of texts: a base model, and classes with a head on it. */
export interface EncoderFamily<Config extends EncoderConfig> {
  /** transformers' `model_type`. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Classes of transformers and the kind of head of each; the base model's is `embedding`. */
  readonly classes: Readonly<Record<string, string>>;
  /** Keys of `config.json`. */
  readonly config: z.ZodObject & z.ZodType<Config>;
  /** Name of the base model within a class that has a head. */
  readonly prefix: string;
  /** Heads by their kind; that of `embedding` has no tensors. */
  readonly heads: Readonly<Record<string, HeadPart<Config>>>;
  /** Tensors of heads of classes that are not here, as patterns without the prefix. */
  readonly otherHeads: readonly string[];
  /** Width of a token's vector. */
  width(config: Config): number;
  /** Whether it is told which text of a pair a token is of. */
  typed(config: Config): boolean;
  /** A vector of each token, `[batch, tokens, width]`, by the base model. */
  encode(base: Scope, inputs: Tensors, real: Tensor, config: Config): Tensor;
  /** In what its files differ from its state, beside prefixes, old names and heads; default nothing. */
  more?(config: Config, kind: string): Pick<StateDictPolicy, 'ties' | 'ignorable'>;
  /** Its feed-forward layers, where they can be written otherwise; default they cannot. */
  readonly feedForward?: FeedForward<Config>;
}

/** The architecture of a family of encoders. */
export function encoderArchitecture<Config extends EncoderConfig>(family: EncoderFamily<Config>): Architecture<Config> {
  const { name, description, classes, config, feedForward } = family;
  const kindOf = (settings: Config) => headKind(classes, settings);
  return {
    name,
    description,
    config,
    classes,
    ...(feedForward && { feedForward }),
    inputs: (settings) => (family.typed(settings) ? typedTextInputs : textInputs),
    head(settings) {
      const kind = kindOf(settings);
      const { vocab_size, num_labels } = settings;
      const size = kind === 'embedding' ? family.width(settings) : kind === 'masked-lm' ? vocab_size : num_labels;
      return { kind, size };
    },
    fit: (_example, head) => keysOfNewHead({ name, classes }, head),
    stateDictPolicy: (settings) => policy(family, kindOf(settings), settings),
    forward(scope, inputs, settings): Tensors {
      const kind = kindOf(settings);
      // transformers' base model alone has no prefix.
      const base = kind === 'embedding' ? scope : scope.child(family.prefix);
      const real = realTokens(inputs.attention_mask);
      const h = family.encode(base, inputs, real, settings);
      if (kind === 'embedding') return { embedding: sentenceEmbedding(h, real) };
      return { logits: family.heads[kind].logits({ scope, base, h, real }, settings) };
    },
  };
}

/**
 * In what files may differ from the state, as transformers reads them: the base model's prefix may be there or not, norms may
 * have TensorFlow's names, numbers of positions may be saved; heads of other classes stay as they are, and one's own may be drawn
 * anew.
 */
function policy<Config extends EncoderConfig>(
  { prefix, heads, otherHeads, more }: EncoderFamily<Config>,
  kind: string,
  config: Config,
): StateDictPolicy {
  const own = heads[kind]?.tensors ?? [];
  const others = [...Object.values(heads).flatMap(({ tensors }) => tensors), ...otherHeads];
  const { ties = {}, ignorable = [] } = more?.(config, kind) ?? {};
  return {
    prefixes: ['module.', `${prefix}.`],
    aliases: { '*LayerNorm.gamma': '*LayerNorm.weight', '*LayerNorm.beta': '*LayerNorm.bias' },
    ties,
    ignorable: ['*position_ids', ...others.filter((name) => !own.includes(name)), ...ignorable],
    initializable: own.flatMap((name) => [name, `${prefix}.${name}`]),
  };
}
