import { describe, expect, it } from 'vitest';
import { RandomStream } from './random.js';
import { symmetricEigen, tridiagonalEigen } from './symmetric.js';

/** `Q diag(values) Qᵀ` with a random orthogonal Q, a product of reflections. */
function withEigenvalues(values: readonly number[], seed: number): Float64Array {
  const n = values.length;
  const stream = new RandomStream(seed, 'symmetric test');
  let a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) a[i * n + i] = values[i];
  for (let turn = 0; turn < 3; turn++) {
    const v = Float64Array.from({ length: n }, () => stream.normal());
    const square = v.reduce((sum, x) => sum + x * x, 0);
    const reflect = (matrix: Float64Array) => {
      const out = Float64Array.from(matrix);
      for (let j = 0; j < n; j++) {
        let inner = 0;
        for (let i = 0; i < n; i++) inner += v[i] * matrix[i * n + j];
        for (let i = 0; i < n; i++) out[i * n + j] -= ((2 * inner) / square) * v[i];
      }
      return out;
    };
    const transposed = (matrix: Float64Array) => matrix.map((_, at) => matrix[(at % n) * n + Math.floor(at / n)]);
    a = reflect(transposed(reflect(a)));
  }
  return a;
}

describe('symmetricEigen', () => {
  it.each([
    ['one', [3]],
    ['two equal', [2, 2]],
    ['zeros', [0, 0, 0]],
    ['of both signs', [-5, -1, 0, 0.5, 4]],
    ['over twelve orders of magnitude', [1e-6, 1e-3, 1, 1e3, 1e6]],
    ['many, clustered', Array.from({ length: 40 }, (_, i) => (i < 20 ? 1 + 1e-9 * i : i))],
    ['tiny', [1e-200, 3e-200, 2e-200]],
  ])('finds eigenvalues that a matrix was made of: %s', (_, wanted) => {
    const n = wanted.length;
    const { values } = symmetricEigen(withEigenvalues(wanted, 1), n);
    const size = Math.max(...wanted.map(Math.abs));
    [...wanted]
      .sort((a, b) => a - b)
      .forEach((value, i) => {
        expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(1e-14 * n * size);
      });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('of low rank, where most of the matrix is rounding, draw %i', (seed) => {
    const [n, rank] = [80, 20];
    const stream = new RandomStream(seed, 'low rank');
    const b = Float64Array.from({ length: n * rank }, () => stream.normal());
    const a = new Float64Array(n * n);
    const sign = (k: number) => (k % 2 === 0 ? 1 : -1);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        for (let k = 0; k < rank; k++) a[i * n + j] += sign(k) * b[i * rank + k] * b[j * rank + k];
      }
    }
    const { values, vectors } = symmetricEigen(a, n, { vectors: true });
    const size = Math.max(-values[0], values[n - 1]);
    expect(values.filter((value) => Math.abs(value) > 1e-12 * size)).toHaveLength(rank);
    for (let k = 0; k < n; k++) {
      const v = vectors.subarray(k * n, (k + 1) * n);
      for (let i = 0; i < n; i++) {
        const product = v.reduce((sum, x, j) => sum + a[i * n + j] * x, 0);
        expect(Math.abs(product - values[k] * v[i])).toBeLessThan(1e-13 * size);
      }
    }
  });

  it('finds orthonormal eigenvectors', () => {
    const wanted = Array.from({ length: 30 }, (_, i) => Math.sin(i) * 3);
    const n = wanted.length;
    const a = withEigenvalues(wanted, 2);
    const { values, vectors } = symmetricEigen(a, n, { vectors: true });
    for (let k = 0; k < n; k++) {
      const v = vectors.subarray(k * n, (k + 1) * n);
      for (let i = 0; i < n; i++) {
        let product = 0;
        for (let j = 0; j < n; j++) product += a[i * n + j] * v[j];
        expect(Math.abs(product - values[k] * v[i])).toBeLessThan(1e-13);
      }
      for (let other = 0; other <= k; other++) {
        let inner = 0;
        for (let j = 0; j < n; j++) inner += v[j] * vectors[other * n + j];
        expect(Math.abs(inner - Number(other === k))).toBeLessThan(1e-13);
      }
    }
  });

  it('refuses what is not finite', () => {
    expect(() => symmetricEigen(Float64Array.of(1, Number.NaN, 0, 1), 2)).toThrow(/expected finite values, found NaN/);
  });
});

describe('tridiagonalEigen', () => {
  it('of the discrete second derivative is known in closed form', () => {
    const n = 25;
    const { values, first, last } = tridiagonalEigen(new Float64Array(n).fill(2), new Float64Array(n - 1).fill(-1));
    values.forEach((value, index) => {
      const angle = (Math.PI * (index + 1)) / (n + 1);
      expect(value).toBeCloseTo(2 - 2 * Math.cos(angle), 13);
      expect(Math.abs(first[index])).toBeCloseTo(Math.sqrt(2 / (n + 1)) * Math.abs(Math.sin(angle)), 12);
      expect(Math.abs(last[index])).toBeCloseTo(Math.abs(first[index]), 12);
    });
  });
});
