import { describe, expect, it } from 'vitest';
import { readFixture } from '../../../test/support/fixtures.js';
import { classReadout } from './proxy-needs.js';

interface ReadoutCase {
  width: number;
  classes: number;
  x: number[];
  labels: number[];
  found: number[];
}
const { readouts } = readFixture<{ readouts: ReadoutCase[] }>('erase.json');

describe('what is read of classes in a hidden layer', () => {
  it.each(readouts.map((each) => [`${each.width} values, ${each.classes} classes`, each] as const))(
    'is the ridge regression that least squares find: %s',
    (_, { width, classes: count, x, labels, found: expected }) => {
      const found = classReadout(Float64Array.from(x), width, { of: Int32Array.from(labels), count });
      const largest = Math.max(...expected.map(Math.abs));
      expect(found.length).toBe(expected.length);
      expected.forEach((value, at) => void expect(Math.abs(found[at] - value)).toBeLessThan(1e-6 * largest));
    },
  );

  it('is 0 where the layer says nothing', () => {
    expect([...classReadout(new Float64Array(6), 2, { of: Int32Array.of(0, 1, 0), count: 2 })]).toEqual([0, 0, 0, 0]);
  });
});
