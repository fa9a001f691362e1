import type { Tensor } from '../../graph/index.js';
import { linear, normal, type Scope } from '../../nn/index.js';
import type { Head, Tensors } from '../architecture.js';
import { headKind } from '../head.js';
import type { StateDictPolicy } from '../state-dict-policy.js';
import { initial } from './keys.js';
import { lastToken, sentenceEmbedding } from './pooling.js';
import { realTokens } from './tokens.js';

/** Kind of head by class of transformers, for classes that are all named after their family. */
export function decoderClasses(family: string, { tokens = true }: { tokens?: boolean } = {}): Record<string, string> {
  return {
    [`${family}ForCausalLM`]: 'causal-lm',
    [`${family}ForSequenceClassification`]: 'classifier',
    ...(tokens && { [`${family}ForTokenClassification`]: 'token-classifier' }),
    [`${family}Model`]: 'embedding',
  };
}

/** What a family of decoders calls its parts in files. */
export interface DecoderNames {
  /** Prefix of the base model. */
  readonly base: string;
  /** The table of token embeddings. */
  readonly table: string;
  /** The head that classifies tokens; the one of texts is `score`. */
  readonly tokenHead: string;
  /** Patterns of constants that old versions saved. */
  readonly saved: readonly string[];
}

/** What of a configuration its head depends on. */
export interface HeadConfig {
  readonly architectures: readonly string[];
  readonly num_labels: number;
  readonly vocab_size: number;
  readonly initializer_range: number;
  readonly classifier_dropout?: number | null;
}

/** What a decoder gives. */
export function decoderHead(classes: Readonly<Record<string, string>>, config: HeadConfig, width: number): Head {
  const kind = headKind(classes, config);
  const sizes: Readonly<Record<string, number>> = { 'causal-lm': config.vocab_size, embedding: width };
  return { kind, size: sizes[kind] ?? config.num_labels };
}

/**
 * The output of a decoder's head, under transformers' names. The classifier reads a text's last token that the attention mask
 * counts. transformers has no mask there and takes the last token that is not `pad_token_id`: the same but for texts that end
 * with that token themselves (where it is also the end of a text), which it reads one or more tokens early, and for
 * configurations without one, where it takes the array's last token, padding or not.
 *
 * @param inputs - `hidden`: normalized `[batch, tokens, width]`. `nextToken`: writes the logits of the next token.
 */
export function decoderOutput(
  scope: Scope,
  inputs: { hidden: Tensor; mask: Tensor; nextToken: () => Tensor; names: DecoderNames },
  kind: string,
  config: HeadConfig,
): Tensors {
  const { hidden, mask, nextToken, names } = inputs;
  const { num_labels: classes, initializer_range: deviation } = config;
  const real = realTokens(mask);
  switch (kind) {
    case 'classifier': {
      const options = { bias: false, weightInitializer: normal(deviation) };
      return { logits: linear(scope.child('score'), lastToken(hidden, real), classes, options) };
    }
    case 'token-classifier': {
      const kept = scope.dropout(hidden, config.classifier_dropout ?? 0.1);
      return { logits: linear(scope.child(names.tokenHead), kept, classes, initial(config)) };
    }
    case 'embedding':
      return { embedding: sentenceEmbedding(hidden, real) };
    default:
      return { logits: nextToken() };
  }
}

/**
 * In what files of decoders differ: saved without the prefix of the base model or with that of DataParallel, without a head,
 * with another one, with a head that is the table of token embeddings, with constants that old versions saved.
 *
 * @param tied - Whether the head that gives the next token is the table of token embeddings.
 */
export function decoderPolicy(
  kind: string,
  { base, table, tokenHead, saved }: DecoderNames,
  tied: boolean,
): StateDictPolicy {
  const heads: Readonly<Record<string, string>> = {
    'causal-lm': 'lm_head.weight',
    classifier: 'score.*',
    'token-classifier': `${tokenHead}.*`,
  };
  const own = heads[kind];
  const isTied = kind === 'causal-lm' && tied;
  return {
    prefixes: ['module.', base],
    ...(isTied && { ties: { 'lm_head.weight': table } }),
    // Tokens' head has a bias and may have the name of that of texts, which has none.
    ignorable: [...saved, ...Object.values(heads)],
    initializable: own === undefined || isTied ? [] : [own],
  };
}
