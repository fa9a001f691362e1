import { describe, expect, it, vi } from 'vitest';
import { hashed, largestError, readFixture } from '../../test/support/linalg-fixtures.js';
import { InputError } from '../registry/index.js';
import { leadingSingularValues, TopSingularSubspace } from './index.js';
import { exactSingularValues } from './svd.js';

vi.mock('./svd.js', async (original) => {
  const actual = await original<typeof import('./svd.js')>();
  return { ...actual, exactSingularValues: vi.fn(actual.exactSingularValues) };
});

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

  it.each([1, 8])('its %i largest are within 1e-5 of LAPACK’s', (k) => {
    const found = leadingSingularValues(matrix, { rows, columns, k, name });
    const { error, index } = largestError(found, sigma.slice(0, k), (i) => Math.max(sigma[i], 1e-7 * sigma[0]));
    expect(error, `at ${index}`).toBeLessThan(1e-5);
  });
});

it('asks the full SVD for small matrices, and for large ones that the iteration does not resolve', () => {
  const asked = leading.filter((fixture) => {
    vi.mocked(exactSingularValues).mockClear();
    const { rows, columns, name } = fixture;
    leadingSingularValues(matrixOf(fixture), { rows, columns, k: 4, name });
    return vi.mocked(exactSingularValues).mock.calls.length > 0;
  });
  expect(asked.map(({ name }) => name)).toEqual([
    // A fourth value of 3e-9 of the first, the rounding of the weights to float32.
    'rank 3',
    'four equal, then gaps of 1e-6',
    'gaps of 1e-6 throughout',
    'long and narrow',
    'wide and low',
  ]);
});

it('an iteration that ends at its cap says so', () => {
  const subspace = new TopSingularSubspace({ rows: 60, columns: 80, k: 4, seed: 1, name: 'w' });
  const matrix = Float32Array.from(hashed(1, 4800));
  subspace.update(matrix, { tolerance: 1e-6, maxIterations: 3 });
  expect(subspace.converged).toBe(false);
  subspace.update(matrix, { tolerance: 1e-6 });
  expect(subspace.converged).toBe(true);
});

it('refuses NaN wherever it is', () => {
  for (const [rows, columns] of [
    [10, 20],
    [520, 530],
  ]) {
    const matrix = new Float32Array(rows * columns).fill(1);
    matrix[rows * columns - 7] = Number.NaN;
    expect(() => leadingSingularValues(matrix, { rows, columns, k: 2, name: 'w' })).toThrow(InputError);
  }
});
