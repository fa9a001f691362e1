import { describe, expect, it } from 'vitest';
import { readFixture } from '../../test/support/fixtures.js';
import { mostSobolDimensions, sobolPoints } from './index.js';

const { bits, points } = readFixture<{ bits: number; points: number[][] }>('sobol.json');

describe('sobolPoints', () => {
  it('are those of scipy.stats.qmc, in all dimensions', () => {
    const found = sobolPoints(points.length, mostSobolDimensions);
    expect(found.map((point) => point.map((value) => value * 2 ** bits))).toEqual(points);
    // Fewer dimensions, or fewer points, are the first of them.
    expect(sobolPoints(5, 3)).toEqual(found.slice(0, 5).map((point) => point.slice(0, 3)));
  });

  it.each([1, 2, 3])('shifted by seed %i stay as far from each other, round the ends', (shift) => {
    const found = sobolPoints(32, 4, { shift });
    expect(found.flat().every((value) => value >= 0 && value < 1)).toBe(true);
    for (let dimension = 0; dimension < 4; dimension++) {
      const sorted = found.map((x) => x[dimension]).toSorted((a, b) => a - b);
      const gaps = sorted.map((x, i) => (i > 0 ? x - sorted[i - 1] : x + 1 - (sorted.at(-1) ?? 0)));
      for (const gap of gaps) expect(gap).toBeCloseTo(1 / 32, 9);
    }
    // From the first point on they are the sequence as it is, in all dimensions.
    const from = (points: number[][]) =>
      points.map((point) => point.map((value, i) => (((value - points[0][i]) % 1) + 1) % 1));
    const plain = sobolPoints(32, 4);
    for (const [i, point] of from(found).entries()) {
      for (const [j, value] of point.entries()) expect(value, `${i} ${j}`).toBeCloseTo(plain[i][j], 9);
    }
  });

  it('keep three trials a quarter of the range apart, and others as evenly', () => {
    const least = (count: number, seed: number) => {
      const sorted = sobolPoints(count, 1, { shift: seed })
        .flat()
        .toSorted((a, b) => a - b);
      return Math.min(...sorted.slice(1).map((x, i) => x - sorted[i]));
    };
    for (let seed = 1; seed <= 50; seed++) {
      expect(least(3, seed)).toBeCloseTo(1 / 4, 9);
      expect(least(16, seed)).toBeCloseTo(1 / 16, 9);
    }
  });

  it('are uniform over seeds, others for another, and the same for the same', () => {
    const of = (shift: number) => sobolPoints(8, 2, { shift });
    expect(of(1)).toEqual(of(1));
    const firsts = Array.from({ length: 400 }, (_, seed) => of(seed)[0]);
    for (const dimension of [0, 1]) {
      const quarters = [0, 0, 0, 0];
      for (const point of firsts) quarters[Math.floor(4 * point[dimension])]++;
      // Four standard deviations of 400 draws.
      for (const count of quarters) expect(Math.abs(count - 100)).toBeLessThan(35);
    }
    // Dimensions are shifted apart from one another.
    expect(firsts.every(([x, y]) => Math.abs(x - y) < 0.25)).toBe(false);
  });

  it('refuse more dimensions than there are directions', () => {
    expect(() => sobolPoints(1, mostSobolDimensions + 1)).toThrow('expected 1 to 12 dimensions, found 13');
    expect(() => sobolPoints(1, 0)).toThrow('found 0');
  });
});
