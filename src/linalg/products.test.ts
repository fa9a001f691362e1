import { describe, expect, it } from 'vitest';
import { hashed, largestError, matrixOf, readFixture } from '../../test/support/linalg-fixtures.js';
import { addRankK, multiplyLeft, multiplyRight } from './products.js';
import { topSingularTriplets } from './subspace.js';

const { gradient: fixture } = readFixture<{
  gradient: {
    rows: number;
    columns: number;
    k: number;
    scale: number;
    source: { f32: string };
    gradient: { f64: string };
  };
}>('linalg-top');

describe('block products', () => {
  // Every remainder of the 2- and 4-row and the 2- and 4-column blocks.
  const shapes = [1, 2, 3, 4, 5, 6, 7, 9].flatMap((rows) => [1, 2, 3, 4, 5, 6, 7, 8].map((width) => ({ rows, width })));
  it.each(shapes)('equal their definition for $rows rows and $width columns', ({ rows, width }) => {
    const columns = 11;
    const matrix = Float32Array.from(hashed(1, rows * columns));
    const v = hashed(2, columns * width);
    const q = hashed(3, rows * width);
    const y = new Float64Array(rows * width).fill(Number.NaN);
    const z = new Float64Array(columns * width).fill(Number.NaN);
    multiplyRight(matrix, rows, columns, v, width, y);
    multiplyLeft(matrix, rows, columns, q, width, z);
    const expectedY = new Float64Array(rows * width);
    const expectedZ = new Float64Array(columns * width);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        for (let c = 0; c < width; c++) {
          expectedY[i * width + c] += matrix[i * columns + j] * v[j * width + c];
          expectedZ[j * width + c] += matrix[i * columns + j] * q[i * width + c];
        }
      }
    }
    expect(largestError(y, expectedY, () => 1).error).toBeLessThan(1e-14);
    expect(largestError(z, expectedZ, () => 1).error).toBeLessThan(1e-14);
  });
});

describe('a triangle times a block', () => {
  const shapes = [1, 2, 3, 4, 5].flatMap((n) => [1, 3, 4, 5].map((width) => ({ n, width })));
  it.each(shapes)('equals the product with all of it, $n rows and $width columns', ({ n, width }) => {
    const v = hashed(2, n * width);
    for (const triangle of ['upper', 'lower'] as const) {
      const isIn = (i: number, j: number) => (triangle === 'upper' ? j >= i : j <= i);
      const matrix = hashed(1, n * n).map((value, at) => (isIn(Math.floor(at / n), at % n) ? value : 0));
      const [all, half] = [new Float64Array(n * width), new Float64Array(n * width).fill(Number.NaN)];
      multiplyRight(matrix, n, n, v, width, all);
      multiplyRight(matrix, n, n, v, width, half, triangle);
      expect(half).toEqual(all);
    }
  });

  it('reads half of it', () => {
    const [matrix, out] = [Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9), new Float64Array(3)];
    matrix[6] = Number.NaN;
    multiplyRight(matrix, 3, 3, Float64Array.of(1, 1, 1), 1, out, 'upper');
    expect(out).toEqual(Float64Array.of(6, 15, 9));
  });
});

describe('addRankK', () => {
  it("adds torch's gradient of the sum of the top singular values", () => {
    const { rows, columns, k, scale } = fixture;
    const matrix = Float32Array.from(matrixOf(fixture));
    const expected = matrixOf({ rows, columns, source: fixture.gradient });
    const { u, v } = topSingularTriplets(matrix, { rows, columns, k, seed: 1, name: 'w' });
    const before = Float32Array.from(hashed(4, rows * columns));
    const gradient = before.slice();
    addRankK(gradient, u, v, rows, columns, k, scale);
    const added = Float64Array.from(gradient, (value, i) => value - before[i]);
    const { error, index } = largestError(added, expected, () => 1);
    expect(error, `at ${index}`).toBeLessThan(3e-7);
  });

  it.each([0, 1, 2, 3, 4, 5, 8, 9])('equals its definition for k = %i and odd sizes', (k) => {
    for (const [rows, columns] of [
      [7, 5],
      [1, 9],
      [6, 1],
    ]) {
      const u = Float32Array.from(hashed(5, rows * k));
      const v = Float32Array.from(hashed(6, columns * k));
      const gradient = Float32Array.from(hashed(7, rows * columns));
      const expected = Float64Array.from(gradient);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          for (let p = 0; p < k; p++) expected[i * columns + j] -= 1.5 * u[i * k + p] * v[j * k + p];
        }
      }
      addRankK(gradient, u, v, rows, columns, k, -1.5);
      const { error, index } = largestError(gradient, expected, () => 1);
      expect(error, `${rows} × ${columns} at ${index}`).toBeLessThan(2e-6);
    }
  });
});
