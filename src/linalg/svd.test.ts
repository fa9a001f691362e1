import { describe, expect, it } from 'vitest';
import {
  hashed,
  largestError,
  type MatrixFixture,
  matrixOf,
  orthonormalityError,
  product,
  readFixture,
} from '../../test/support/linalg-fixtures.js';
import { InputError } from '../registry/index.js';
import { exactSingularValues, svd } from './svd.js';

const { exact } = readFixture<{ exact: MatrixFixture[] }>('linalg-exact');

describe.each(exact)('$name', (fixture) => {
  const { rows, columns, sigma } = fixture;
  const matrix = matrixOf(fixture);
  const relativeToLargest = () => sigma[0] || 1e-300;

  it('exactSingularValues agrees with LAPACK', () => {
    const actual = exactSingularValues(matrix, rows, columns);
    const { error, index } = largestError(actual, sigma, relativeToLargest);
    expect(error, `at ${index}`).toBeLessThan(1e-13);
    expect(actual.every((value, i) => value >= 0 && (i === 0 || value <= actual[i - 1]))).toBe(true);
  });

  it('svd agrees with LAPACK, has orthonormal vectors and reproduces the matrix', () => {
    const { sigma: actual, u, v } = svd(matrix, rows, columns);
    const { error, index } = largestError(actual, sigma, relativeToLargest);
    expect(error, `at ${index}`).toBeLessThan(1e-13);
    expect(orthonormalityError(u, rows, sigma.length)).toBeLessThan(1e-13);
    expect(orthonormalityError(v, columns, sigma.length)).toBeLessThan(1e-13);
    const back = largestError(product(u, actual, v, rows, columns), matrix, relativeToLargest);
    expect(back.error, `at ${back.index}`).toBeLessThan(1e-13);
  });
});

describe('the SVD of a matrix of a hundred rows, which begins with the eigenvectors of its Gram matrix', () => {
  const [rows, columns] = [110, 100];
  const noise = (seed: number, m: number, n: number) => {
    const values = Float64Array.from(hashed(seed, m * n));
    return svd(values, m, n);
  };
  const [left, right] = [noise(1, rows, columns).u, noise(2, columns, columns).u];
  it.each([
    ['graded', (j: number) => 10 ** (-j / 8)],
    ['of rank 40', (j: number) => (j < 40 ? 1 + j : 0)],
    ['with equal values', (j: number) => (j < 50 ? 2 : 1)],
    ['of zeros', () => 0],
  ])('%s', (_, value) => {
    const given = Float64Array.from({ length: columns }, (__, j) => value(j));
    const matrix = product(left, given, right, rows, columns);
    const { sigma, u, v } = svd(matrix, rows, columns);
    const largest = () => Math.max(...given) || 1;
    expect(largestError(sigma, given.toSorted().toReversed(), largest).error).toBeLessThan(1e-13);
    expect(orthonormalityError(u, rows, columns)).toBeLessThan(1e-13);
    expect(orthonormalityError(v, columns, columns)).toBeLessThan(1e-13);
    expect(largestError(product(u, sigma, v, rows, columns), matrix, largest).error).toBeLessThan(1e-13);
  });
});

describe('input', () => {
  it('gives the same values for a matrix and its transpose, float32 and float64', () => {
    const single = Float32Array.from(hashed(9, 50 * 70));
    const transposed = Float32Array.from(single, (_, i) => single[(i % 50) * 70 + Math.floor(i / 50)]);
    const values = exactSingularValues(single, 50, 70);
    expect(exactSingularValues(Float64Array.from(single), 50, 70)).toEqual(values);
    expect(exactSingularValues(transposed, 70, 50)).toEqual(values);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %f and says where', (bad) => {
    const matrix = new Float32Array(12).fill(1);
    matrix[7] = bad;
    for (const run of [exactSingularValues, svd]) {
      expect(() => run(matrix, 3, 4)).toThrow(InputError);
      expect(() => run(matrix, 3, 4)).toThrow(/\[1, 3\]/);
    }
  });

  it('refuses sizes that do not fit', () => {
    expect(() => exactSingularValues(new Float32Array(12), 3, 5)).toThrow(/expected 3 × 5 values, found 12/);
    expect(() => exactSingularValues(new Float32Array(0), 0, 5)).toThrow(InputError);
    expect(() => svd(new Float32Array(2), 0.5, 4)).toThrow(InputError);
  });

  it('leaves its input as it was', () => {
    const matrix = hashed(10, 40 * 40);
    const copy = matrix.slice();
    exactSingularValues(matrix, 40, 40);
    svd(matrix, 40, 40);
    expect(matrix).toEqual(copy);
  });
});
