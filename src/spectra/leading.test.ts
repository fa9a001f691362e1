import { afterAll, describe, expect, it, vi } from 'vitest';
import { hashed, largestError, readFixture } from '../../test/support/linalg-fixtures.js';
import { ProgramCache } from '../engine/index.js';
import { exactSingularValues, svd, TopSingularSubspace } from '../linalg/index.js';
import { InputError } from '../registry/index.js';
import { allSingularValues, gramMatrix, leadingBlock, leadingSingularValues } from './index.js';

vi.mock('../linalg/index.js', async (original) => {
  const actual = await original<typeof import('../linalg/index.js')>();
  return { ...actual, exactSingularValues: vi.fn(actual.exactSingularValues) };
});

const programs = new ProgramCache({ threads: 1 });
afterAll(() => programs.release());

interface LeadingFixture {
  name: string;
  rows: number;
  columns: number;
  hash: number | null;
  raised: [seed: number, factor: number][];
  diagonal: number[];
  /** The eight largest by LAPACK, in double precision. */
  sigma: number[];
}

const { leading } = readFixture<{ leading: LeadingFixture[] }>('linalg-leading');

function matrixOf({ rows, columns, hash, raised, diagonal }: LeadingFixture): Float32Array {
  const m = hash === null ? new Float64Array(rows * columns) : hashed(hash, rows * columns);
  for (const [seed, factor] of raised) {
    const [c, d] = [hashed(seed, rows), hashed(seed + 1, columns)];
    for (let at = 0; at < m.length; at++) m[at] += factor * (c[Math.floor(at / columns)] * d[at % columns]);
  }
  for (const [i, value] of diagonal.entries()) m[i * columns + ((7 * i + 3) % columns)] += value;
  return Float32Array.from(m);
}

describe.each(leading)('$name, $rows × $columns', (fixture) => {
  const { rows, columns, name, sigma } = fixture;
  const matrix = matrixOf(fixture);

  it.each([1, 8])('its %i largest are within 1e-5 of LAPACK’s', async (k) => {
    const found = await leadingSingularValues(matrix, { rows, columns, k, name, programs });
    const { error, index } = largestError(found, sigma.slice(0, k), (i) => Math.max(sigma[i], 1e-7 * sigma[0]));
    expect(error, `at ${index}`).toBeLessThan(1e-5);
  });
});

it('asks the full SVD for small matrices, and for large ones that no iteration resolves', async () => {
  const asked: string[] = [];
  for (const fixture of leading) {
    vi.mocked(exactSingularValues).mockClear();
    const { rows, columns, name } = fixture;
    await leadingSingularValues(matrixOf(fixture), { rows, columns, k: 4, name, programs });
    if (vi.mocked(exactSingularValues).mock.calls.length > 0) asked.push(name);
  }
  expect(asked).toEqual([
    // A fourth value of 3e-9 of the first, the rounding of the weights to float32.
    'rank 3',
    'four equal, then gaps of 1e-6',
    'gaps of 1e-6 throughout',
  ]);
});

it.each([
  ['tall', 400, 290],
  ['wide', 290, 400],
])('the block of a %s matrix holds its leading right singular vectors', async (name, rows, columns) => {
  const matrix = Float32Array.from(hashed(3, rows * columns));
  const block = await leadingBlock(matrix, { rows, columns, k: 3, width: 8, name, programs });
  const { sigma } = svd(matrix, rows, columns);
  const subspace = new TopSingularSubspace({ rows, columns, k: 3, seed: 1, name });
  expect(subspace.width).toBe(8);
  subspace.restore(block ?? new Float64Array());
  const found = subspace.update(matrix);
  for (let j = 0; j < 3; j++) expect(found.sigma[j] / sigma[j]).toBeCloseTo(1, 6);
});

it.each([
  ['long', 700, 24],
  ['low', 24, 700],
  ['square', 30, 30],
])('all values of a %s matrix are those of a full SVD', async (_, rows, columns) => {
  const matrix = Float32Array.from(hashed(5, rows * columns));
  for (const raised of [1, 1e3, 1e6]) {
    for (let j = 0; j < columns; j++) matrix[j] *= raised;
    const expected = exactSingularValues(matrix, rows, columns);
    const found = await allSingularValues(matrix, { rows, columns, programs });
    expect(found).toHaveLength(expected.length);
    for (let j = 0; j < found.length; j++) expect(Math.abs(found[j] / expected[j] - 1)).toBeLessThan(1e-6);
  }
});

it('no block where the squares would be rounding', async () => {
  const matrix = new Float32Array(300 * 300);
  for (let i = 0; i < 300; i++) matrix[i * 301] = i === 0 ? 1 : 1e-6;
  expect(await leadingBlock(matrix, { rows: 300, columns: 300, k: 2, width: 8, name: 'w', programs })).toBeUndefined();
});

it.each([
  [7, 4],
  [4, 7],
])('the Gram matrix of %i × %i, in pieces too, is that of the shorter side', async (rows, columns) => {
  const matrix = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 7) % 11) - 5);
  const side = Math.min(rows, columns);
  const at = (i: number, j: number) => (rows < columns ? matrix[i * columns + j] : matrix[j * columns + i]);
  const expected = Float64Array.from({ length: side * side }, (_, index) => {
    let sum = 0;
    for (let j = 0; j < Math.max(rows, columns); j++) sum += at(Math.floor(index / side), j) * at(index % side, j);
    return sum;
  });
  expect(await gramMatrix(matrix, { rows, columns }, programs)).toEqual(expected);
  expect(await gramMatrix(matrix, { rows, columns, pieceElements: 9 }, programs)).toEqual(expected);
});

it('an iteration that ends at its cap says so', () => {
  const subspace = new TopSingularSubspace({ rows: 60, columns: 80, k: 4, seed: 1, name: 'w' });
  const matrix = Float32Array.from(hashed(1, 4800));
  subspace.update(matrix, { tolerance: 1e-6, maxIterations: 3 });
  expect(subspace.converged).toBe(false);
  subspace.update(matrix, { tolerance: 1e-6 });
  expect(subspace.converged).toBe(true);
});

it.each([
  [10, 20],
  [520, 530],
])('refuses NaN in %i × %i', async (rows, columns) => {
  const matrix = new Float32Array(rows * columns).fill(1);
  matrix[rows * columns - 7] = Number.NaN;
  await expect(leadingSingularValues(matrix, { rows, columns, k: 2, name: 'w', programs })).rejects.toThrow(InputError);
});
