import { expect, it } from 'vitest';
import { cholesky, choleskyInverse, RandomStream } from './index.js';

it('the inverse of a positive definite matrix, by its triangle', () => {
  const n = 37;
  const x = new Float32Array(n * n);
  new RandomStream(3, 'cholesky').fillNormal(x, 0, 1);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) a[i * n + j] += x[i * n + k] * x[j * n + k];
      if (i === j) a[i * n + j] += 1;
    }
  }
  const inverse = choleskyInverse(cholesky(a, n), n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let product = 0;
      for (let k = 0; k < n; k++) product += a[i * n + k] * inverse[k * n + j];
      expect(Math.abs(product - Number(i === j))).toBeLessThan(1e-11);
      expect(inverse[i * n + j]).toBe(inverse[j * n + i]);
    }
  }
  expect([...choleskyInverse(cholesky(Float64Array.of(4), 1), 1)]).toEqual([0.25]);
});
