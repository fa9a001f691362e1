import { createHash } from 'node:crypto';
import { InputError } from '../registry/index.js';
import { philox4x32 } from './philox.js';

const TWO_32 = 2 ** 32;
/** From so rare an entry on a gap costs less than the words that it saves. */
const RARE = 0.2;

/**
 * A random stream named by (seed, purpose, index): the same name gives the same bits on every machine, whatever other
 * streams do, and the streams of different names are independent. Philox4x32-10 whose 64-bit key is the head of
 * SHA-256 of (seed, purpose); the 128-bit counter holds the index (upper half) and the position (lower half). Of a secret the next
 * 64 bits of the hash are added to the index bit by bit, so that a stream has as many states as the secret has.
 *
 * Splitting a fill over several calls, or replacing it by the scalar calls its comment names, changes no value (masks of rare entries aside).
 *
 * @example
 * ```ts
 * const order = new RandomStream(7, 'batches', epoch).permutation(dataset.size);
 * ```
 */
export class RandomStream {
  readonly #key0: number;
  readonly #key1: number;
  readonly #index0: number;
  readonly #index1: number;
  readonly #words = new Uint32Array(4);
  #used = 4;
  #position0 = 0;
  #position1 = 0;
  #spareNormal: number | undefined;

  /**
   * @param seed - The run's seed, a safe integer, or a secret text.
   * @param purpose - What the numbers are for, such as `dropout/encoder.0`; each consumer has its own.
   * @param index - Epoch, step or item, a safe integer from 0 (default 0).
   * @throws InputError when seed or index is no such integer.
   */
  constructor(seed: number | string, purpose: string, index = 0) {
    const isSecret = typeof seed === 'string';
    if (!isSecret && !Number.isSafeInteger(seed)) throw new InputError(`seed: expected a safe integer, found ${seed}`);
    if (!Number.isSafeInteger(index) || index < 0) {
      throw new InputError(`random stream ${purpose}: expected an index that is a safe integer from 0, found ${index}`);
    }
    // JSON keeps (1, "2x") and (12, "x") apart; seed + 0 turns -0 into 0.
    const digest = createHash('sha256')
      .update(JSON.stringify([isSecret ? seed : seed + 0, purpose]))
      .digest();
    this.#key0 = digest.readUInt32LE(0);
    this.#key1 = digest.readUInt32LE(4);
    const [more0, more1] = isSecret ? [digest.readUInt32LE(8), digest.readUInt32LE(12)] : [0, 0];
    this.#index0 = ((index % TWO_32) ^ more0) >>> 0;
    this.#index1 = (Math.floor(index / TWO_32) ^ more1) >>> 0;
  }

  /** The next 32 random bits as an integer in [0, 2^32). */
  uint32(): number {
    if (this.#used === 4) {
      this.#nextBlock();
      this.#used = 0;
    }
    return this.#words[this.#used++];
  }

  /** A double in [0, 1) with 53 random bits; takes two words. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    return (high * 0x4000000 + (this.uint32() >>> 6)) * 2 ** -53;
  }

  /** A standard normal double (Box-Muller in pairs: every other call takes two uniforms, the one between takes none). */
  normal(): number {
    if (this.#spareNormal !== undefined) {
      const value = this.#spareNormal;
      this.#spareNormal = undefined;
      return value;
    }
    // 1 - u lies in (0, 1], so that the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /**
   * An integer in [0, n), every one equally likely (draws that would favour some are thrown away).
   *
   * @param n - Number of values, an integer from 1 to 2^32.
   * @throws InputError for any other n.
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) {
      throw new InputError(`random integer: expected a number of values from 1 to 2^32, found ${n}`);
    }
    const limit = TWO_32 - (TWO_32 % n);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % n;
  }

  /**
   * The integers 0 to n - 1 in random order, every order equally likely (Fisher-Yates).
   *
   * @param n - Number of entries, an integer from 0.
   * @throws InputError when n is no such integer.
   */
  permutation(n: number): Uint32Array {
    if (!Number.isInteger(n) || n < 0 || n > TWO_32) {
      throw new InputError(`permutation: expected a number of entries from 0 to 2^32, found ${n}`);
    }
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const value = order[i];
      order[i] = order[j];
      order[j] = value;
    }
    return order;
  }

  /** Fills with `low + (high - low) · uniform()`; rounding to float32 can reach `high`. */
  fillUniform(out: Float32Array, low: number, high: number): void {
    const width = high - low;
    for (let i = 0; i < out.length; i++) out[i] = low + width * this.uniform();
  }

  /** Fills with `mean + std · normal()`. */
  fillNormal(out: Float32Array, mean: number, std: number): void {
    for (let i = 0; i < out.length; i++) out[i] = mean + std * this.normal();
  }

  /**
   * Fills with `scale` with a probability, else 0, each entry for itself: the mask of dropout. Where one of both is rare (a fifth
   * at most), the gaps between its entries are drawn, a word each: a tenth of the words for a dropout of a tenth; in pieces it is another mask then.
   *
   * @param keepProbability - From 0 to 1; both ends are exact.
   * @throws InputError when the probability lies outside.
   */
  fillBernoulli(out: Float32Array, keepProbability: number, scale: number): void {
    if (!(keepProbability >= 0 && keepProbability <= 1)) {
      throw new InputError(`fillBernoulli: expected a probability from 0 to 1, found ${keepProbability}`);
    }
    const [common, rare] = keepProbability < 0.5 ? [0, scale] : [scale, 0];
    const share = Math.min(keepProbability, 1 - keepProbability);
    if (share > RARE) {
      this.#fillByWords(out, Math.round(keepProbability * TWO_32), scale);
      return;
    }
    out.fill(common);
    if (share === 0) return;
    // P(gap ≥ k) = (1 − share)^k, so a gap is the whole part of the logarithm of a uniform number to the base 1 − share.
    const perLog = 1 / Math.log1p(-share);
    for (let i = -1; ; ) {
      i += 1 + Math.floor(perLog * Math.log((this.uint32() + 0.5) / TWO_32));
      if (i >= out.length) return;
      out[i] = rare;
    }
  }

  /** Fills with `scale` where `uint32() < threshold`, else 0. */
  #fillByWords(out: Float32Array, threshold: number, scale: number): void {
    const words = this.#words;
    let i = 0;
    for (; i < out.length && this.#used !== 4; i++) out[i] = words[this.#used++] < threshold ? scale : 0;
    for (; i + 4 <= out.length; i += 4) {
      this.#nextBlock();
      out[i] = words[0] < threshold ? scale : 0;
      out[i + 1] = words[1] < threshold ? scale : 0;
      out[i + 2] = words[2] < threshold ? scale : 0;
      out[i + 3] = words[3] < threshold ? scale : 0;
    }
    for (; i < out.length; i++) out[i] = this.uint32() < threshold ? scale : 0;
  }

  #nextBlock(): void {
    philox4x32(this.#position0, this.#position1, this.#index0, this.#index1, this.#key0, this.#key1, this.#words);
    this.#position0 = (this.#position0 + 1) >>> 0;
    if (this.#position0 === 0) this.#position1 = (this.#position1 + 1) >>> 0;
  }
}
