const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

const LOW_0 = MULTIPLIER_0 & 0xffff;
const HIGH_0 = MULTIPLIER_0 >>> 16;
const LOW_1 = MULTIPLIER_1 & 0xffff;
const HIGH_1 = MULTIPLIER_1 >>> 16;

/**
 * One block of Philox4x32-10: a bijection of a 128-bit counter under a 64-bit key.
 * Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 *
 * @param c0 - Lowest word of the counter; `c1` to `c3` follow, each taken modulo 2^32.
 * @param k0 - First word of the key; `k1` is the second.
 * @param out - Receives the four words at its start.
 */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
): void {
  let x0 = c0 | 0;
  let x1 = c1 | 0;
  let x2 = c2 | 0;
  let x3 = c3 | 0;
  let key0 = k0 | 0;
  let key1 = k1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    // High words of two 32x32 bit products by 16-bit halves: no partial sum passes 2^32, so int32 arithmetic is exact.
    const low0 = x0 & 0xffff;
    const high0 = x0 >>> 16;
    const a0 = (Math.imul(high0, LOW_0) + (Math.imul(low0, LOW_0) >>> 16)) | 0;
    const b0 = (Math.imul(low0, HIGH_0) + (a0 & 0xffff)) | 0;
    const top0 = (Math.imul(high0, HIGH_0) + (a0 >>> 16) + (b0 >>> 16)) | 0;
    const low1 = x2 & 0xffff;
    const high1 = x2 >>> 16;
    const a1 = (Math.imul(high1, LOW_1) + (Math.imul(low1, LOW_1) >>> 16)) | 0;
    const b1 = (Math.imul(low1, HIGH_1) + (a1 & 0xffff)) | 0;
    const top1 = (Math.imul(high1, HIGH_1) + (a1 >>> 16) + (b1 >>> 16)) | 0;
    const bottom0 = Math.imul(x0, MULTIPLIER_0);
    x0 = top1 ^ x1 ^ key0;
    x1 = Math.imul(x2, MULTIPLIER_1);
    x2 = top0 ^ x3 ^ key1;
    x3 = bottom0;
    key0 = (key0 + WEYL_0) | 0;
    key1 = (key1 + WEYL_1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}
