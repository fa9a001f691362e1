/**
 * Lengths that texts are padded to: multiples of 8 up to 64, then 4/3 and 3/2 of a power of two in turn (96, 128, 192, 256,
 * 384, 512, ...). A program is compiled for each length that occurs: up to 512 tokens there are 14, fewer than the 16 layouts
 * that training keeps. Padding is at most 7 tokens of short texts and a third of long ones, much less with batches of like lengths.
 *
 * @param length - Tokens, 0 or more.
 * @param limit - Most tokens that a text may have, which the padding keeps to as well: a model has no positions beyond.
 */
export function bucketOf(length: number, limit = Number.POSITIVE_INFINITY): number {
  if (length <= 64) return Math.min(Math.max(8, Math.ceil(length / 8) * 8), Math.max(limit, 1));
  const power = 2 ** Math.ceil(Math.log2(length));
  return Math.min(length <= 0.75 * power ? 0.75 * power : power, limit);
}
