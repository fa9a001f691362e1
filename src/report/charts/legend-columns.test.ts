import { expect, it } from 'vitest';
import { legendColumns } from './legend-columns.js';

const long = 'sham-locked, clip + rescale + reset';

it.each([
  ['one column of nothing', [], 100, 1],
  ['all in a row where there is room', ['unlocked', 'locked', 'random weights'], 600, 3],
  ['at most five', Array.from({ length: 9 }, () => 'locked'), 2000, 5],
  ['fewer where a label is long', ['unlocked', 'locked', 'random weights', 'locked, reset', long, long], 600, 2],
  ['one where two have no room', ['unlocked', long], 225, 1],
  ['one, though it is too wide', [long], 100, 1],
])('%s', (_, labels, width, columns) => {
  expect(legendColumns(labels, width)).toBe(columns);
});
