import { add, cast, flip, gather, matMul, mul, reshape, slice, type Tensor, transpose } from '../../graph/index.js';
import { alignByDistance, linear, logBucket, multiHeadAttention, type Scope } from '../../nn/index.js';
import { initial } from './keys.js';

/** What disentangled attention is made of. */
export interface DisentangledKeys {
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly attention_probs_dropout_prob: number;
  readonly hidden_dropout_prob: number;
  readonly initializer_range: number;
  readonly share_att_key: boolean;
  readonly position_buckets: number;
}

/** The vectors of distances between tokens. */
export interface Distances {
  /** One a bucket, `[2·span, width]`. */
  readonly table: Tensor;
  /** Number of buckets of one sign. */
  readonly span: number;
  /** The longest distance that is told apart, plus one. */
  readonly most: number;
}

/** What disentangled attention computes from, beside the tokens. */
export interface DisentangledInputs {
  /** What keeps attention off padding, `[batch, 1, 1, tokens]`. */
  readonly bias: Tensor;
  /** Terms of the scores beside content to content: `c2p`, `p2c`. */
  readonly terms: readonly string[];
  /** Vectors of distances; none where attention does not know them. */
  readonly distances?: Distances;
}

/** Rows of the table for the distances −(n − 1) to n − 1: the range that is used, and where in it each of them lies. */
function usedRows(n: number, { span, most }: Distances, buckets: number): { first: number; end: number; of: number[] } {
  const row = (distance: number) => {
    const bucket = buckets > 0 ? logBucket(distance, { buckets, most }) : distance;
    return Math.min(Math.max(bucket + span, 0), 2 * span - 1);
  };
  const rows = Array.from({ length: 2 * n - 1 }, (_, at) => row(at - (n - 1)));
  const [first, end] = [rows[0], rows[rows.length - 1] + 1];
  return { first, end, of: rows.map((each) => each - first) };
}

/**
 * Attention whose scores are of contents, and of content to the distance of the other token (`c2p`) and the other way round
 * (`p2c`): `(Qᵢ·Kⱼ + Qᵢ·Kr(i−j) + Kⱼ·Qr(i−j)) / √(d · terms)`, r the row of a table of distances that is projected like tokens.
 *
 * @param x - `[batch, tokens, width]`.
 * @returns `[batch, tokens, width]`.
 * @see He et al., "DeBERTa", ICLR 2021, section 3.1, and `DisentangledSelfAttention` of transformers.
 */
export function disentangledAttention(
  scope: Scope,
  x: Tensor,
  { bias, terms, distances }: DisentangledInputs,
  settings: DisentangledKeys,
): Tensor {
  const { hidden_size, num_attention_heads: heads, attention_probs_dropout_prob: dropout } = settings;
  const project = (name: string, from: Tensor) => linear(scope.child(name), from, hidden_size, initial(settings));
  const [query, key, value] = ['query_proj', 'key_proj', 'value_proj'].map((name) => project(name, x));
  const scale = 1 / Math.sqrt((hidden_size / heads) * (1 + terms.length));
  const distance = distances && distanceScores(scope, { query, key }, { terms, distances, project }, settings);
  const sum = distance ? add(mul(distance, scale), cast(bias, distance.dtype)) : bias;
  return multiHeadAttention(scope, { query, key, value }, { heads, scale, bias: sum, dropout });
}

/** The terms of distance, not yet scaled: `[batch, heads, tokens, tokens]`; none where there is no such term. */
function distanceScores(
  scope: Scope,
  { query, key }: { query: Tensor; key: Tensor },
  {
    terms,
    distances,
    project,
  }: { terms: readonly string[]; distances: Distances; project: (name: string, x: Tensor) => Tensor },
  { num_attention_heads: heads, hidden_dropout_prob, share_att_key: shared, position_buckets }: DisentangledKeys,
): Tensor | undefined {
  const [, tokens, width] = query.shape;
  const { first, end, of } = usedRows(tokens, distances, position_buckets);
  const dropped = slice(scope.dropout(distances.table, hidden_dropout_prob), [{ axis: 0, start: first, end }]);
  const split = (t: Tensor) => transpose(reshape(t, [...t.shape.slice(0, 2), heads, width / heads]), [0, 2, 1, 3]);
  /** Scores of each token with each distance, ascending or descending, `[batch, heads, tokens, 2·tokens − 1]`. */
  const scores = (content: Tensor, rows: Tensor, descending: boolean) => {
    const isPlain = of.every((row, at) => row === at);
    const each = isPlain ? rows : gather(rows, rows.graph.constant(of, [of.length], 'int64'));
    const ordered = descending ? flip(each, [0]) : each;
    return matMul(split(content), transpose(split(reshape(ordered, [1, ...ordered.shape])), [0, 1, 3, 2]));
  };
  const parts: Tensor[] = [];
  if (terms.includes('c2p')) {
    const rows = project(shared ? 'key_proj' : 'pos_key_proj', dropped);
    // Of query i and key j: the distance i − j falls as j rises.
    parts.push(alignByDistance(scores(query, rows, true)));
  }
  if (terms.includes('p2c')) {
    const rows = project(shared ? 'query_proj' : 'pos_query_proj', dropped);
    // Rows are keys here: the distance rises with the query, which becomes the row.
    parts.push(transpose(alignByDistance(scores(key, rows, false)), [0, 1, 3, 2]));
  }
  return parts.length === 0 ? undefined : parts.reduce((a, b) => add(a, b));
}
