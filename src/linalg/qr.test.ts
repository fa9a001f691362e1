import { describe, expect, it } from 'vitest';
import {
  hashed,
  largestError,
  matrixOf,
  orthonormalityError,
  product,
  readFixture,
} from '../../test/support/linalg-fixtures.js';
import { InputError } from '../registry/index.js';
import { transpose } from './matrix.js';
import { thinQr } from './qr.js';

const { qr } = readFixture<{
  qr: { rows: number; columns: number; source: { f64: string }; absoluteR: number[] };
}>('linalg-exact');

function run(a: Float64Array, rows: number, columns: number) {
  const q = new Float64Array(rows * columns);
  const r = new Float64Array(columns * columns);
  thinQr(a, rows, columns, q, r);
  const rTransposed = new Float64Array(columns * columns);
  transpose(r, columns, columns, rTransposed);
  const back = product(q, new Float64Array(columns).fill(1), rTransposed, rows, columns);
  const norm = Math.max(...a.map(Math.abs));
  return {
    q,
    r,
    reconstruction: largestError(back, a, () => norm),
    orthonormality: orthonormalityError(q, rows, columns),
  };
}

describe('thinQr', () => {
  it('agrees with numpy up to the signs that QR leaves free', () => {
    const { r } = run(matrixOf({ ...qr }), qr.rows, qr.columns);
    const { error, index } = largestError(r.map(Math.abs), qr.absoluteR, () => qr.absoluteR[0]);
    expect(error, `at ${index}`).toBeLessThan(1e-14);
  });

  const dense = hashed(1, 60 * 8);
  it.each<[string, Float64Array, number, number]>([
    ['dense', dense, 60, 8],
    ['square', hashed(2, 64), 8, 8],
    ['wide block', hashed(3, 300 * 64), 300, 64],
    ['one column', hashed(4, 50), 50, 1],
    ['one entry', Float64Array.of(-3), 1, 1],
    ['zero', new Float64Array(60 * 8), 60, 8],
    ['zero columns between others', dense.map((x, i) => (i % 8 === 0 || i % 8 === 5 ? 0 : x)), 60, 8],
    ['equal columns', dense.map((_, i) => dense[i - (i % 8)]), 60, 8],
    ['columns that differ by 1e-15', dense.map((x, i) => dense[i - (i % 8)] + 1e-15 * x), 60, 8],
    ['columns graded to 1e-84', dense.map((x, i) => x * 1e-12 ** (i % 8)), 60, 8],
    ['columns graded to underflow', dense.map((x, i) => x * 1e-44 ** (i % 8)), 60, 8],
    ['last column with squares that underflow', dense.map((x, i) => (i % 8 === 7 ? x * 1e-161 : x)), 60, 8],
    ['large', dense.map((x) => x * 1e150), 60, 8],
    ['one row not zero', dense.map((x, i) => (i >= 472 ? x : 0)), 60, 8],
  ])('%s: orthonormal, upper triangular, and reproduces the matrix', (_, a, rows, columns) => {
    const { r, reconstruction, orthonormality } = run(a, rows, columns);
    expect(orthonormality).toBeLessThan(3e-15);
    expect(r.every((value, i) => i % columns >= Math.floor(i / columns) || value === 0)).toBe(true);
    expect(reconstruction.error, `at ${reconstruction.index}`).toBeLessThan(a.some((x) => x !== 0) ? 3e-15 : 1e-300);
  });

  it('may overwrite its input and reads float32', () => {
    const { q } = run(Float64Array.from(Float32Array.from(dense)), 60, 8);
    const inPlace = Float32Array.from(dense);
    thinQr(inPlace, 60, 8, inPlace, new Float64Array(64));
    expect(inPlace).toEqual(Float32Array.from(q));
  });

  it('refuses a wide matrix and sizes that do not fit', () => {
    expect(() => thinQr(new Float64Array(6), 2, 3, new Float64Array(6), new Float64Array(9))).toThrow(InputError);
    expect(() => thinQr(new Float64Array(5), 3, 2, new Float64Array(6), new Float64Array(4))).toThrow(/3 × 2.*found 5/);
  });
});
