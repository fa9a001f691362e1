import { describe, expect, it } from 'vitest';
import { describeNotFinite, findNotFinite } from './index.js';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

describe('findNotFinite', () => {
  it('finds the first NaN or infinity, its place, and how many there are', () => {
    const values = new Float32Array(24);
    expect(findNotFinite(values, [2, 3, 4])).toBeUndefined();
    values.set([-infinity, 1, nan], 17);
    expect(findNotFinite(values, [2, 3, 4])).toEqual({ value: -infinity, index: [1, 1, 1], count: 2 });
    expect(findNotFinite(values, [24])?.index).toEqual([17]);
    expect(findNotFinite(Float32Array.of(nan), [])).toEqual({ value: nan, index: [], count: 1 });
    expect(findNotFinite(new Float32Array(), [0, 3])).toBeUndefined();
    // The largest and the smallest float32.
    expect(findNotFinite(Float32Array.of(3.4028234663852886e38, 1.4e-45), [2])).toBeUndefined();
  });

  it('says so in words', () => {
    expect(describeNotFinite({ value: nan, index: [3, 17], count: 1 })).toBe('NaN at [3, 17], one such value');
    expect(describeNotFinite({ value: -infinity, index: [], count: 2 })).toBe('-Infinity, 2 such values');
  });
});
