import { expect, it } from 'vitest';
import { RandomStream } from '../../linalg/index.js';
import { multiply, multiplyByOwnTranspose, multiplyByTriangle, solveTriangle } from './products.js';

const random = new RandomStream(1, 'products');
const normal = (length: number) => Float64Array.from({ length }, () => random.normal());

/** A triangle with a diagonal that keeps its inverse tame. */
function triangle(n: number, upper: boolean): Float64Array {
  const values = normal(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) if (upper ? j < i : j > i) values[i * n + j] = 0;
    for (let j = 0; j < n; j++) values[i * n + j] /= n;
    values[i * n + i] = 1 + random.uniform();
  }
  return values;
}

function plain(a: Float64Array, b: Float64Array, [rows, inner, columns]: readonly [number, number, number]) {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      for (let j = 0; j < columns; j++) out[i * columns + j] += a[i * inner + k] * b[k * columns + j];
    }
  }
  return out;
}

function transposed(x: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]);
}

function difference(a: Float64Array, b: Float64Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

// The first of each is computed here, the second on the engine.
const sizes = [
  [7, 5, 3],
  [130, 90, 71],
] as const;

it.each(sizes)('multiplies [%d, %d] by [., %d] columns', async (rows, inner, columns) => {
  const [a, b, out] = [normal(rows * inner), normal(inner * columns), new Float64Array(rows * columns)];
  await multiply(a, b, { rows, inner, columns }, out);
  expect(difference(out, plain(a, b, [rows, inner, columns]))).toBeLessThan(1e-12);
});

it.each([
  [5, 7],
  [111, 93],
])('multiplies [%d, %d] by its transpose', async (n, width) => {
  const [x, out] = [normal(n * width), new Float64Array(n * n)];
  await multiplyByOwnTranspose(x, n, width, out);
  expect(difference(out, plain(x, transposed(x, n, width), [n, width, n]))).toBeLessThan(1e-12);
});

it.each([
  [5, 7, true],
  [5, 7, false],
  [111, 93, true],
  [111, 93, false],
])('multiplies a triangle of %d rows by %d columns (upper: %s)', async (n, width, upper) => {
  const [q, x, out] = [triangle(n, upper), normal(n * width), new Float64Array(n * width)];
  await multiplyByTriangle(q, n, upper, x, width, out);
  expect(difference(out, plain(q, x, [n, n, width]))).toBeLessThan(1e-12);
});

it.each([
  [5, 7],
  [301, 33],
])('solves a triangle of %d rows for %d columns', async (n, width) => {
  const [l, x] = [triangle(n, false), normal(n * width)];
  const product = plain(l, x, [n, n, width]);
  await solveTriangle(l, n, product, width);
  expect(difference(product, x)).toBeLessThan(1e-12);
});

it('keeps products apart that are asked for at once, of like shapes, and goes on after one that is refused', async () => {
  const [rows, inner, columns] = sizes[1];
  const shape = { rows, inner, columns };
  const asked = Array.from({ length: 4 }, () => ({ a: normal(rows * inner), b: normal(inner * columns) }));
  const refused = multiply(normal(3), normal(inner * columns), shape, new Float64Array(rows * columns));
  const found = asked.map(async ({ a, b }) => {
    const out = new Float64Array(rows * columns);
    await multiply(a, b, shape, out);
    return out;
  });
  await expect(refused).rejects.toThrow('expected');
  for (const [at, { a, b }] of asked.entries()) {
    expect(difference(await found[at], plain(a, b, [rows, inner, columns]))).toBeLessThan(1e-12);
  }
});
