import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../test/support/compare.js';
import { RandomStream, svd } from '../../linalg/index.js';
import { betweenLayers } from './index.js';

const [rows, columns] = [6, 9];
const stream = new RandomStream(1, 'matrix');
const noise = (length: number) => Float32Array.from({ length }, () => stream.normal());
const w = noise(rows * columns);
const shapes = new Map([
  ['fc.weight', [rows, columns]],
  ['fc.bias', [rows]],
]);
const start = () =>
  new Map([
    ['fc.weight', w.slice()],
    ['fc.bias', noise(rows)],
  ]);

/** `Σ_ij p_i q_j (u_iᵀ G v_j) u_i v_jᵀ`, p and q the squared factors: what a step of length 1 must do to a matrix. */
function expected(g: Float32Array, factors: readonly number[]): Float64Array {
  const { u, v } = svd(w, rows, columns);
  const rank = rows;
  const result = Float64Array.from(g);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < rank; j++) {
      let along = 0;
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) along += u[r * rank + i] * g[r * columns + c] * v[c * rank + j];
      const less = 1 - (factors[i] ?? 1) ** 2 * (factors[j] ?? 1) ** 2;
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) result[r * columns + c] -= less * along * u[r * rank + i] * v[c * rank + j];
    }
    // What lies outside the rows of W has factors on one side alone.
    for (let c = 0; c < columns; c++) {
      let along = 0;
      for (let r = 0; r < rows; r++) along += u[r * rank + i] * g[r * columns + c];
      let inside = 0;
      for (let j = 0; j < rank; j++) {
        let product = 0;
        for (let r = 0; r < rows; r++)
          for (let d = 0; d < columns; d++) product += u[r * rank + i] * g[r * columns + d] * v[d * rank + j];
        inside += product * v[c * rank + j];
      }
      for (let r = 0; r < rows; r++)
        result[r * columns + c] -= (1 - (factors[i] ?? 1) ** 2) * (along - inside) * u[r * rank + i];
    }
  }
  return result;
}

describe('a matrix between fixed layers', () => {
  it.each([
    ['that take the largest directions out', () => [0, 0]],
    [
      'that make them small',
      (sigma: readonly number[]) => sigma.slice(0, 2).map((value) => Math.sqrt(sigma[2] / value)),
    ],
  ] as const)('%s moves so by a step of gradient descent', (_, factors) => {
    const weights = start();
    const part = betweenLayers(() => 2, factors)(weights, shapes, 1);
    part.write?.();
    expect(weights.get('fc.weight')).toEqual(w);
    const g = noise(rows * columns);
    const given = part.gradients(
      new Map([
        ['fc.weight', g],
        ['fc.bias', noise(rows)],
      ]),
    );
    part.params.get('fc.weight')?.forEach((value, at, z) => {
      z[at] = value - (given.get('fc.weight')?.[at] ?? Number.NaN);
    });
    part.write?.();
    const { sigma, u, v } = svd(w, rows, columns);
    const moved = (weights.get('fc.weight') ?? w).map((value, at) => w[at] - value);
    expect(largestDifference(moved, expected(g, factors([...sigma].slice(0, 3)))).error).toBeLessThan(1e-5);
    // Where they are taken out, W still sends the first directions where it did.
    if (factors([...sigma])[0] !== 0) return;
    for (const j of [0, 1]) {
      for (let r = 0; r < rows; r++) {
        let sum = 0;
        for (let c = 0; c < columns; c++) sum += (weights.get('fc.weight')?.[r * columns + c] ?? 0) * v[c * rows + j];
        expect(sum).toBeCloseTo(sigma[j] * u[r * rows + j], 4);
      }
    }
    expect(part.params.get('fc.bias')).toBe(weights.get('fc.bias'));
  });
});
