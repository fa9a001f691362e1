import type { Tensor } from '../../graph/index.js';
import { lastToken, linear, meanPool, normal, type Scope, unitLength, zeros } from '../../nn/index.js';
import type { Head, HeadNeed, Tensors } from '../architecture.js';
import { classWithHead, headKind } from '../head.js';
import type { StateDictPolicy } from '../state-dict-policy.js';

/** Kind of head by class of transformers, for classes that are all named after their family. */
export function decoderClasses(family: string, { tokens = true }: { tokens?: boolean } = {}): Record<string, string> {
  return {
    [`${family}ForCausalLM`]: 'causal-lm',
    [`${family}ForSequenceClassification`]: 'classifier',
    ...(tokens && { [`${family}ForTokenClassification`]: 'token-classifier' }),
    [`${family}Model`]: 'embedding',
  };
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

/** Keys of a new decoder with a head. */
export function fitDecoder(classes: Readonly<Record<string, string>>, { kind, labels }: HeadNeed) {
  const name = classWithHead({ classes }, kind);
  return { ...(name && { architectures: [name] }), ...(labels.length > 0 && { num_labels: labels.length }) };
}

/**
 * The output of a decoder's head, under transformers' names. The classifier reads a text's last token that the attention mask
 * counts. transformers has no mask there and takes the last token that is not `pad_token_id`: the same but for texts that end
 * with that token themselves (where it is also the end of a text), which it reads one or more tokens early, and for
 * configurations without one, where it takes the array's last token, padding or not.
 *
 * @param hidden - Normalized `[batch, tokens, width]`.
 * @param nextToken - Logits of the next token of it.
 */
export function decoderOutput(
  scope: Scope,
  { hidden, mask, nextToken }: { hidden: Tensor; mask: Tensor; nextToken: (hidden: Tensor) => Tensor },
  kind: string,
  { num_labels, initializer_range, classifier_dropout }: HeadConfig,
): Tensors {
  const weightInitializer = normal(initializer_range);
  switch (kind) {
    case 'classifier': {
      const last = lastToken(hidden, mask); // [batch, width]
      return { logits: linear(scope.child('score'), last, num_labels, { bias: false, weightInitializer }) };
    }
    case 'token-classifier': {
      const kept = scope.dropout(hidden, classifier_dropout ?? 0.1);
      const options = { weightInitializer, biasInitializer: zeros };
      return { logits: linear(scope.child('score'), kept, num_labels, options) };
    }
    case 'embedding':
      return { embedding: unitLength(meanPool(hidden, mask)) };
    default:
      return { logits: nextToken(hidden) };
  }
}

/**
 * In what files of decoders differ: saved without the prefix of the base model or with that of DataParallel, without a head,
 * with another one, with a head that is the table of token embeddings, with constants that old versions saved.
 *
 * @param options - `base`: the prefix of the base model, `model.`. `table`: the table of token embeddings. `tied`: whether the
 *   head is that table. `saved`: patterns of constants.
 */
export function decoderPolicy(
  kind: string,
  { base, table, tied, saved }: { base: string; table: string; tied: boolean; saved: readonly string[] },
): StateDictPolicy {
  const isCausal = kind === 'causal-lm';
  const hasScore = kind === 'classifier' || kind === 'token-classifier';
  return {
    prefixes: ['module.', base],
    ...(isCausal && tied && { ties: { 'lm_head.weight': table } }),
    ignorable: [...saved, ...(isCausal ? [] : ['lm_head.weight']), ...(hasScore ? [] : ['score.*'])],
    initializable: [...(isCausal && !tied ? ['lm_head.weight'] : []), ...(hasScore ? ['score.*'] : [])],
  };
}
