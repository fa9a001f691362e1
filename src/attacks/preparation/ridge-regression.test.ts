import { expect, it } from 'vitest';
import { RandomStream } from '../../linalg/index.js';
import { uncounted } from './closed-forms.js';
import { centred, meanOf, RidgeRegression } from './ridge-regression.js';

const stream = new RandomStream(1, 'ridge');
const [rows, width, columns] = [40, 5, 3];
const drawn = (count: number) => Float64Array.from({ length: count }, () => 2 + stream.normal());
const [x, y] = [drawn(rows * width), drawn(rows * columns)];
const column = (of: Float64Array, index: number, length: number) =>
  Float64Array.from({ length: of.length / length }, (_, row) => of[row * length + index]);
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, at) => sum + value * b[at], 0);

it('solves the normal equations of centred vectors, at any ridge', () => {
  const tally = uncounted();
  const regression = new RidgeRegression(x, y, rows, tally);
  expect(tally.flops).toBe(2 * 40 * 5 * 8 + 4 * 125 + 2 * 25 * 3);
  const [a, b] = [centred(x, meanOf(x, rows)), centred(y, meanOf(y, rows))];
  const trace = dot(a, a) / width;
  for (const ridge of [0, 0.1, 10]) {
    const residual = regression.predict(x, ridge).map((value, at) => y[at] - value);
    // Xᵀ(Y − XW) = λW; what W is comes from unit vectors.
    const center = meanOf(x, rows);
    const units = Float64Array.from(
      { length: width * width },
      (_, at) => center[at % width] + (at % (width + 1) === 0 ? 1 : 0),
    );
    const weights = regression.predict(units, ridge).map((value, at) => value - regression.mean[at % columns]);
    for (let i = 0; i < width; i++) {
      for (let c = 0; c < columns; c++) {
        const left = dot(column(a, i, width), column(residual, c, columns));
        expect(left).toBeCloseTo(ridge * trace * weights[i * columns + c], 9);
      }
    }
  }
  expect(regression.mean).toEqual(meanOf(y, rows));
  expect(dot(b, b)).toBeGreaterThan(0);
});

it('says the mean at a ridge beyond all, and what it was fitted to where there is as much as it can say', () => {
  const regression = new RidgeRegression(x, y, rows, uncounted());
  for (const [at, value] of regression.predict(x, 1e12).entries()) {
    expect(value).toBeCloseTo(regression.mean[at % columns], 6);
  }
  const exact = Float64Array.from({ length: rows }, (_, row) => 3 * x[row * width] - x[row * width + 4] + 7);
  const found = new RidgeRegression(x, exact, rows, uncounted()).predict(x, 0);
  for (const [at, value] of found.entries()) expect(value).toBeCloseTo(exact[at], 9);
});
