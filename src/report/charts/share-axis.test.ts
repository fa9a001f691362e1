import { expect, it } from 'vitest';
import { shareAxis } from './share-axis.js';

it.each([
  [[0.31, 0.05], 0.4, [0, 0.1, 0.2, 0.3, 0.4]],
  [[0.4], 0.4, [0, 0.1, 0.2, 0.3, 0.4]],
  [[0.41], 1, [0, 0.25, 0.5, 0.75, 1]],
  [[0.07], 0.2, [0, 0.05, 0.1, 0.15, 0.2]],
  [[], 0.2, [0, 0.05, 0.1, 0.15, 0.2]],
])('of %j ends at %d', (values, end, ticks) => {
  const { scale, axis } = shareAxis(values);
  expect(scale.domain).toEqual([0, end]);
  expect(axis.values.map((value) => Math.round(1000 * value) / 1000)).toEqual(ticks);
});

it('holds intervals that reach below 0', () => {
  expect(shareAxis([0.9], -0.1).scale.domain).toEqual([-0.1, 1]);
});
