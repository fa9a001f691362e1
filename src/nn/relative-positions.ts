import { reshape, slice, type Tensor } from '../graph/index.js';

/**
 * Scores by distance, put where attention has them: `y[..., i, j] = x[..., i, j − i + n − 1]`. Elements are moved alone, in
 * whole rows, where gathering them would take an index each (and their gradient as many additions in one thread).
 *
 * @param x - `[..., n, 2n − 1]`: for row i, what holds at the distances −(n − 1) to n − 1.
 * @returns `[..., n, n]`.
 */
export function alignByDistance(x: Tensor): Tensor {
  const [n, distances] = x.shape.slice(-2);
  if (n === 1) return x;
  const before = x.shape.slice(0, -2);
  // Row after row, element (i, j) lies at i·(2n − 1) + j − i + n − 1 = (n − 1) + i·(2n − 2) + j: in rows that are one shorter.
  const flat = reshape(x, [...before, n * distances]);
  const shorter = slice(flat, [{ axis: -1, start: n - 1, end: n - 1 + n * (distances - 1) }]);
  return slice(reshape(shorter, [...before, n, distances - 1]), [{ axis: -1, end: n }]);
}

/** How distances become buckets. */
export interface LogBuckets {
  /** Buckets of one sign; half of them hold one distance each. */
  readonly buckets: number;
  /** The distance, plus one, that is the last of the last bucket. */
  readonly most: number;
}

/**
 * The bucket of a distance: near ones have a bucket each, far ones share one the more the farther they are, in steps of equal
 * ratio: with h half the buckets, `⌈log(|x| / h) / log((most − 1) / h) · (h − 1)⌉ + h` beyond h, with the sign of x.
 *
 * @see He et al., "DeBERTa", ICLR 2021, and `make_log_bucket_position` of transformers, whose float32 this follows.
 */
export function logBucket(distance: number, { buckets, most }: LogBuckets): number {
  const half = Math.floor(buckets / 2);
  const size = Math.abs(distance);
  if (size <= half) return distance;
  const f = Math.fround;
  const ratio = f(f(Math.log(f(size / half))) / f(Math.log(f((most - 1) / half))));
  return Math.sign(distance) * (Math.ceil(f(ratio * (half - 1))) + half);
}
