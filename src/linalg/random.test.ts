import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { philox4x32 } from './philox.js';
import { RandomStream } from './random.js';

describe('philox4x32', () => {
  // Lines "philox4x32 10" of tests/kat_vectors in Random123 1.14: counter[4] key[2] result[4].
  it.each([
    '00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8',
    'ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd',
    '243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1',
  ])('known answer %s', (line) => {
    const [c0, c1, c2, c3, k0, k1, ...expected] = line.split(' ').map((word) => Number.parseInt(word, 16));
    const out = new Uint32Array(4);
    philox4x32(c0, c1, c2, c3, k0, k1, out);
    expect([...out]).toEqual(expected);
  });
});

/** Pearson's statistic against equal expected counts; its mean is bins - 1, its variance 2 (bins - 1). */
function chiSquare(counts: ArrayLike<number>, total: number): number {
  const expected = total / counts.length;
  return Array.from(counts).reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** Quantile 1 - 1e-6 of chi-square by Wilson and Hilferty's approximation (z = 4.753). */
function chiSquareLimit(degrees: number): number {
  const c = 2 / (9 * degrees);
  return degrees * (1 - c + 4.753 * Math.sqrt(c)) ** 3;
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  const sums = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const terms = [a[i], b[i], a[i] * a[i], b[i] * b[i], a[i] * b[i]];
    for (let j = 0; j < 5; j++) sums[j] += terms[j] / n;
  }
  const [x, y, xx, yy, xy] = sums;
  return (xy - x * y) / Math.sqrt((xx - x * x) * (yy - y * y));
}

const words = (digest: Buffer, at: number): [number, number] => [digest.readUInt32LE(at), digest.readUInt32LE(at + 4)];

function draw(stream: RandomStream, n: number): Float64Array {
  return Float64Array.from({ length: n }, () => stream.uniform());
}

describe('RandomStream', () => {
  const n = 200_000;

  it('has equally filled bins for uniform, for its low bits, and for pairs of neighbours', () => {
    const values = draw(new RandomStream(1, 'uniform'), n);
    const bins = new Uint32Array(256);
    const lowBits = new Uint32Array(256);
    const pairs = new Uint32Array(256);
    for (let i = 0; i < n; i++) {
      bins[Math.floor(values[i] * 256)]++;
      lowBits[(values[i] * 2 ** 53) % 256]++;
      if (i > 0) pairs[Math.floor(values[i - 1] * 16) * 16 + Math.floor(values[i] * 16)]++;
    }
    expect(chiSquare(bins, n)).toBeLessThan(chiSquareLimit(255));
    expect(chiSquare(lowBits, n)).toBeLessThan(chiSquareLimit(255));
    expect(chiSquare(pairs, n - 1)).toBeLessThan(chiSquareLimit(255));
    expect(chiSquare(bins, n)).toBeGreaterThan(120); // an even filling would be no less suspicious
  });

  it('has the moments of the normal distribution', () => {
    const values = new Float32Array(n);
    new RandomStream(2, 'normal').fillNormal(values, 0, 1);
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / n;
    // Five standard errors each: sd of x is 1, of x² √2, of x³ √15, of x⁴ √96.
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    // Box-Muller's two values of a pair share a radius; they must still be uncorrelated.
    const even = values.filter((_, i) => i % 2 === 0);
    const odd = values.filter((_, i) => i % 2 === 1);
    expect(Math.abs(correlation(even, odd))).toBeLessThan(5 / Math.sqrt(n / 2));
    // Upper tail P(x > 3) = 0.0013499.
    const tail = values.reduce((count, value) => count + (value > 3 ? 1 : 0), 0);
    expect(Math.abs(tail - 0.0013499 * n)).toBeLessThan(5 * Math.sqrt(0.0013499 * n));
  });

  it('scales uniform and normal fills', () => {
    const values = new Float32Array(50_000);
    new RandomStream(3, 'scale').fillUniform(values, -3, 5);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean - 1)).toBeLessThan((5 * 8) / Math.sqrt(12 * values.length));
    expect(Math.min(...values.subarray(0, 30_000))).toBeLessThan(-2.99);
    expect(Math.max(...values.subarray(0, 30_000))).toBeGreaterThan(4.99);
    new RandomStream(3, 'scale').fillNormal(values, 10, 0.5);
    const normalMean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - normalMean) ** 2, 0) / values.length;
    expect(Math.abs(normalMean - 10)).toBeLessThan((5 * 0.5) / Math.sqrt(values.length));
    expect(Math.abs(variance / 0.25 - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
  });

  it.each([3, 7, 10, 1000, 3_000_000_000])('integer(%i) is unbiased', (size) => {
    const stream = new RandomStream(4, 'integer');
    const counts = new Uint32Array(Math.min(size, 100));
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const value = stream.integer(size);
      largest = Math.max(largest, value);
      // For 3e9, taking uint32 % size would put two thirds of the mass on the first 1.29e9 values.
      counts[Math.floor((value * counts.length) / size)]++;
    }
    expect(largest).toBeLessThan(size);
    expect(chiSquare(counts, n)).toBeLessThan(chiSquareLimit(counts.length - 1));
  });

  it('permutes: every order of four equally often, every number once', () => {
    const counts = new Map<string, number>();
    const total = 48_000;
    const stream = new RandomStream(5, 'orders');
    for (let i = 0; i < total; i++) {
      const key = stream.permutation(4).join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()], total)).toBeLessThan(chiSquareLimit(23));
    const large = stream.permutation(10_000);
    expect([...large].sort((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
    expect(stream.permutation(0)).toHaveLength(0);
    expect([...stream.permutation(1)]).toEqual([0]);
  });

  it.each([0, 1e-4, 0.1, 0.2, 0.21, 0.5, 0.79, 0.8, 0.9, 0.9999, 1])('fillBernoulli keeps a share of %f', (keep) => {
    const mask = new Float32Array(n);
    new RandomStream(6, 'mask').fillBernoulli(mask, keep, 1.25);
    const kept = mask.filter((value) => value === 1.25).length;
    expect(mask.filter((value) => value !== 0 && value !== 1.25)).toHaveLength(0);
    expect(Math.abs(kept - keep * n)).toBeLessThanOrEqual(5 * Math.sqrt(keep * (1 - keep) * n));
  });

  it.each([0.1, 0.85, 0.5])('fillBernoulli keeps each entry for itself, %f of them', (keep) => {
    const mask = new Float32Array(n);
    new RandomStream(6, 'mask').fillBernoulli(mask, keep, 1);
    for (const lag of [1, 2, 3, 64]) {
      expect(Math.abs(correlation(mask.subarray(lag), mask.subarray(0, n - lag))), `${lag}`).toBeLessThan(
        5 / Math.sqrt(n),
      );
    }
    // At each place of short masks, the first and the last too.
    const [short, masks] = [7, 20_000];
    const kept = new Float64Array(short);
    for (let index = 0; index < masks; index++) {
      const each = new Float32Array(short);
      new RandomStream(6, 'mask', index).fillBernoulli(each, keep, 1);
      for (const [i, value] of each.entries()) kept[i] += value;
    }
    for (const count of kept)
      expect(Math.abs(count - keep * masks)).toBeLessThan(5 * Math.sqrt(keep * (1 - keep) * masks));
  });

  it('gives uncorrelated streams for other seeds, purposes and indices, and for a shift by one', () => {
    const size = 50_000;
    const base = draw(new RandomStream(1, 'a', 0), size);
    const others = {
      seed: draw(new RandomStream(2, 'a', 0), size),
      purpose: draw(new RandomStream(1, 'b', 0), size),
      index: draw(new RandomStream(1, 'a', 1), size),
      'far index': draw(new RandomStream(1, 'a', 2 ** 32), size),
      shifted: draw(new RandomStream(1, 'a', 0), size + 1).subarray(1),
    };
    for (const [name, other] of Object.entries(others)) {
      expect(Math.abs(correlation(base, other)), name).toBeLessThan(5 / Math.sqrt(size));
    }
    const words = new Set([0, 1, 2 ** 32, 2 ** 32 + 1].map((index) => new RandomStream(1, 'a', index).uint32()));
    expect(words.size).toBe(4);
    expect(new RandomStream(1, '2x').uint32()).not.toBe(new RandomStream(12, 'x').uint32());
    expect(new RandomStream(-0, 'x').uint32()).toBe(new RandomStream(0, 'x').uint32());
  });

  it('gives the same bits however the calls are batched', () => {
    const size = 1001;
    const scalar = (next: (stream: RandomStream) => number) => {
      const stream = new RandomStream(8, 'batching', 3);
      stream.uint32();
      return Float32Array.from({ length: size }, () => next(stream));
    };
    const pieces = (fill: (stream: RandomStream, out: Float32Array) => void) => {
      const stream = new RandomStream(8, 'batching', 3);
      stream.uint32();
      const out = new Float32Array(size);
      for (let start = 0, length = 1; start < size; start += length, length = (length % 7) + 1) {
        fill(stream, out.subarray(start, start + length));
      }
      return out;
    };
    expect(pieces((stream, out) => stream.fillUniform(out, 2, 5))).toEqual(scalar((s) => 2 + 3 * s.uniform()));
    expect(pieces((stream, out) => stream.fillNormal(out, 2, 5))).toEqual(scalar((s) => 2 + 5 * s.normal()));
    const mask = pieces((stream, out) => stream.fillBernoulli(out, 0.25, 4));
    expect(mask).toEqual(scalar((s) => (s.uint32() < 2 ** 30 ? 4 : 0)));
    const whole = new Float32Array(size);
    const stream = new RandomStream(8, 'batching', 3);
    stream.uint32();
    stream.fillBernoulli(whole, 0.25, 4);
    expect(whole).toEqual(mask);
  });

  it('stays the generator it is: first words of a named stream', () => {
    const stream = new RandomStream(42, 'pinned', 7);
    expect([
      stream.uint32(),
      stream.uint32(),
      stream.uint32(),
      stream.uint32(),
      stream.uint32(),
    ]).toMatchInlineSnapshot(`
      [
        446616698,
        1692758392,
        527333374,
        2007360192,
        3186149086,
      ]
    `);
  });

  it('has other streams for other secrets, and none of them by its key alone', () => {
    const [size, secret] = [50_000, '0123456789abcdef0123456789abcdef'];
    const base = draw(new RandomStream(secret, 'a'), size);
    expect(draw(new RandomStream(secret, 'a'), size)).toEqual(base);
    for (const other of [`${secret.slice(1)}0`, '1', '']) {
      expect(Math.abs(correlation(base, draw(new RandomStream(other, 'a'), size)))).toBeLessThan(5 / Math.sqrt(size));
    }
    expect(new RandomStream('1', 'a').uint32()).not.toBe(new RandomStream(1, 'a').uint32());
    // Philox with the first 64 bits of the hash as its key and a counter of 0 is another stream.
    const digest = createHash('sha256')
      .update(JSON.stringify([secret, 'a']))
      .digest();
    const out = new Uint32Array(4);
    philox4x32(0, 0, 0, 0, ...words(digest, 0), out);
    expect(new RandomStream(secret, 'a').uint32()).not.toBe(out[0]);
    philox4x32(0, 0, ...words(digest, 8), ...words(digest, 0), out);
    expect(new RandomStream(secret, 'a').uint32()).toBe(out[0]);
  });

  it('refuses what is no seed, index, size or probability', () => {
    expect(() => new RandomStream(0.5, 'x')).toThrow(InputError);
    expect(() => new RandomStream(2 ** 53, 'x')).toThrow(InputError);
    expect(() => new RandomStream(1, 'x', -1)).toThrow(/index.*found -1/);
    const stream = new RandomStream(1, 'x');
    for (const size of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1]) expect(() => stream.integer(size)).toThrow(InputError);
    expect(() => stream.permutation(-1)).toThrow(InputError);
    expect(() => stream.fillBernoulli(new Float32Array(1), Number.NaN, 1)).toThrow(InputError);
    expect(() => stream.fillBernoulli(new Float32Array(1), 1.1, 1)).toThrow(InputError);
  });
});
