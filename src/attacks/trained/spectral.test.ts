import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../test/support/compare.js';
import { RandomStream, svd } from '../../linalg/index.js';
import { createOptimizer } from '../../training/index.js';
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

/** `op(a)·b` or `a·op(b)` of square-sided matrices, in float64. */
function product(
  [a, b]: readonly ArrayLike<number>[],
  [r, inner, c]: readonly number[],
  { left = false, right = false }: { left?: boolean; right?: boolean } = {},
): Float64Array {
  const result = new Float64Array(r * c);
  for (let i = 0; i < r; i++)
    for (let j = 0; j < c; j++)
      for (let p = 0; p < inner; p++)
        result[i * c + j] += (left ? a[p * r + i] : a[i * inner + p]) * (right ? b[j * inner + p] : b[p * c + j]);
  return result;
}

/** `1 + Σ_j (f_j^sign − 1)·x_j·x_jᵀ`, x_j the columns of a `[size, rank]` matrix. */
function layerOf(x: ArrayLike<number>, size: number, factors: readonly number[], sign: 1 | -1): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    const along = factors.map((factor, k) => (factor ** sign - 1) * x[i * rows + k] * x[j * rows + k]);
    return along.reduce((sum, value) => sum + value, i === j ? 1 : 0);
  });
}

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
    { name: 'sgd', options: {}, learningRate: 0.05 },
    { name: 'adamw', options: { weightDecay: 0 }, learningRate: 0.01 },
  ])('trains with $name as one that is written as a product with compensating layers', async (used) => {
    const goal = noise(rows * columns);
    const shape = new Map([['fc.weight', [rows, columns]]]);
    const { sigma, u, v } = svd(w, rows, columns);
    const factors = [0, 1].map((k) => Math.sqrt(sigma[2] / sigma[k]));
    const weights = new Map([['fc.weight', w.slice()]]);
    const part = betweenLayers(
      () => 2,
      () => factors,
    )(weights, shape, 1);
    const optimizer = createOptimizer(used, shape);
    const state = optimizer.init(part.params, shape);
    // W = A·V·C, A and C fixed: V has the gradient Aᵀ·G·Cᵀ.
    const [a, c] = [layerOf(u, rows, factors, 1), layerOf(v, columns, factors, 1)];
    const [under, before] = [layerOf(u, rows, factors, -1), layerOf(v, columns, factors, -1)];
    const around = (left: Float64Array, middle: ArrayLike<number>, right: Float64Array, transposed = false) => {
      const half = product([left, middle], [rows, rows, columns], { left: transposed });
      return product([half, right], [rows, columns, columns], { right: transposed });
    };
    const inner = new Map([['fc.weight', Float32Array.from(around(under, w, before))]]);
    const factored = createOptimizer(used, shape);
    const other = factored.init(inner, shape);
    const outer = () => around(a, inner.get('fc.weight') ?? [], c);
    const slope = (from: ArrayLike<number>) => goal.map((value, at) => (from[at] ?? 0) - value);
    for (let step = 0; step < 50; step++) {
      const gradients = new Map([['fc.weight', slope(weights.get('fc.weight') ?? w)]]);
      await optimizer.update(await part.gradients(gradients), state, part.params, used.learningRate);
      await part.write?.();
      const own = Float32Array.from(around(a, slope(outer()), c, true));
      await factored.update(new Map([['fc.weight', own]]), other, inner, used.learningRate);
    }
    expect(largestDifference(weights.get('fc.weight') ?? w, outer()).error).toBeLessThan(1e-5);
    expect(largestDifference(outer(), w).error).toBeGreaterThan(0.1);
  });

  it.each([
    ['that take the largest directions out', () => [0, 0]],
    [
      'that make them small',
      (sigma: readonly number[]) => sigma.slice(0, 2).map((value) => Math.sqrt(sigma[2] / value)),
    ],
  ] as const)('%s moves so by a step of gradient descent', async (_, factors) => {
    const weights = start();
    const part = betweenLayers(() => 2, factors)(weights, shapes, 1);
    await part.write?.();
    expect(weights.get('fc.weight')).toEqual(w);
    const g = noise(rows * columns);
    const given = await part.gradients(
      new Map([
        ['fc.weight', g],
        ['fc.bias', noise(rows)],
      ]),
    );
    part.params.get('fc.weight')?.forEach((value, at, z) => {
      z[at] = value - (given.get('fc.weight')?.[at] ?? Number.NaN);
    });
    await part.write?.();
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
