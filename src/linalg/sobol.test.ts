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

  it.each([1, 2, 3])('scrambled by seed %i fill every elementary interval once', (scramble) => {
    const found = sobolPoints(32, 4, { scramble });
    const cells = (of: (point: number[]) => string) => new Set(found.map(of)).size;
    for (let dimension = 0; dimension < 4; dimension++)
      expect(cells((x) => `${Math.floor(32 * x[dimension])}`)).toBe(32);
    // The first two dimensions are a (0, m, 2)-net: one point in each box of 1/32, whatever its sides.
    for (const [a, b] of [
      [2, 16],
      [4, 8],
      [8, 4],
      [16, 2],
    ]) {
      expect(cells(([x, y]) => `${Math.floor(a * x)} ${Math.floor(b * y)}`)).toBe(32);
    }
    expect(found.flat().every((value) => value > 0 && value < 1)).toBe(true);
  });

  it('are others for another seed, and the same for the same', () => {
    const of = (scramble: number) => sobolPoints(8, 2, { scramble });
    expect(of(1)).toEqual(of(1));
    const all = [1, 2, 3, 4].flatMap((seed) => of(seed).map(([x]) => x));
    expect(new Set(all).size).toBe(32);
    // Seeds do not share what a scrambling leaves in place: no coordinate is near its unscrambled one in all of them.
    const plain = sobolPoints(8, 2).map(([x]) => x);
    expect([1, 2, 3, 4].every((seed) => of(seed).every(([x], i) => Math.abs(x - plain[i]) < 1 / 8))).toBe(false);
  });

  it('refuse more dimensions than there are directions', () => {
    expect(() => sobolPoints(1, mostSobolDimensions + 1)).toThrow('expected 1 to 12 dimensions, found 13');
    expect(() => sobolPoints(1, 0)).toThrow('found 0');
  });
});
