import { describe, expect, it } from 'vitest';
import { percentileInterval, RandomStream, resamples } from './index.js';

const intervalOf = (values: readonly number[], groups: readonly (readonly number[])[]) => {
  const means = resamples(groups).map((places) => places.reduce((sum, at) => sum + values[at], 0) / places.length);
  return percentileInterval(means) ?? [Number.NaN, Number.NaN];
};
const all = (n: number) => Array.from({ length: n }, (_, index) => index);

describe('a bootstrap interval', () => {
  it('of a mean is near the normal one where there are many observations', () => {
    const values = new Float32Array(400);
    new RandomStream(3, 'bootstrap test').fillNormal(values, 5, 2);
    const [low, high] = intervalOf([...values], [all(400)]);
    // 1.96 · 2 / √400 to each side.
    expect(Math.abs((high - low) / (2 * 0.196) - 1)).toBeLessThan(0.12);
    expect(low).toBeLessThan(values.reduce((a, b) => a + b) / 400);
    expect(high).toBeGreaterThan(values.reduce((a, b) => a + b) / 400);
  });

  it('of two observations has both as bounds, each resample in four', () => {
    const found = resamples([[0, 1]]);
    for (const twice of [0, 1]) {
      const share = found.filter((places) => places.every((place) => place === twice)).length / found.length;
      expect(Math.abs(share - 0.25)).toBeLessThan(0.03);
    }
    expect(intervalOf([0, 1], [[0, 1]])).toEqual([0, 1]);
  });

  it('is as wide as the groups differ, however many observations each has', () => {
    const values = all(200).map((index) => (index < 100 ? 0 : 1));
    // As single observations the mean is known to 7 points, as two groups not at all.
    const [low, high] = intervalOf(values, [all(200)]);
    expect([low > 0.4, high < 0.6]).toEqual([true, true]);
    expect(intervalOf(values, [all(100), all(100).map((index) => index + 100)])).toEqual([0, 1]);
    expect(resamples([[4], [7, 9]])).toEqual(resamples([[4], [7, 9]]));
  });

  it('leaves out the same share at both ends', () => {
    expect(percentileInterval(all(1000).reverse())).toEqual([25, 974]);
    expect(percentileInterval([3])).toEqual([3, 3]);
    expect(percentileInterval([])).toBeUndefined();
  });
});
