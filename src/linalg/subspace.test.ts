import { describe, expect, it } from 'vitest';
import {
  hashed,
  largestError,
  type MatrixFixture,
  matrixOf,
  orthonormalityError,
  readFixture,
} from '../../test/support/linalg-fixtures.js';
import { InputError } from '../registry/index.js';
import { TopSingularSubspace, type topSingularTriplets } from './subspace.js';

interface Sequence {
  name: string;
  rows: number;
  columns: number;
  seed: number;
  walk: number;
  growth: number;
  iterations: number;
  sigma: number[][];
}

const { top, sequences } = readFixture<{ top: MatrixFixture[]; sequences: Sequence[] }>('linalg-top');

/** The matrices of a sequence, each operation rounded to float32 as in the oracle script. */
function* matricesOf({ rows, columns, seed, walk, growth, sigma }: Sequence): Generator<Float32Array> {
  const w = Float32Array.from(hashed(seed, rows * columns));
  const c = Float32Array.from(hashed(seed + 1000, rows));
  const d = Float32Array.from(hashed(seed + 2000, columns));
  yield w;
  for (let t = 1; t < sigma.length; t++) {
    const step = hashed(seed + t, w.length);
    for (let i = 0; i < w.length; i++) {
      w[i] = w[i] + Math.fround(walk * step[i]);
      w[i] = w[i] + Math.fround(growth * Math.fround(c[Math.floor(i / columns)] * d[i % columns]));
    }
    yield w;
  }
}

/** ‖W·v_j − σ_j·u_j‖ and ‖Wᵀ·u_j − σ_j·v_j‖, the larger over all j, relative to σ_1. */
function residual(matrix: Float32Array, rows: number, columns: number, found: ReturnType<typeof topSingularTriplets>) {
  const { sigma, u, v } = found;
  const k = sigma.length;
  let worst = 0;
  for (let j = 0; j < k; j++) {
    const left = Float64Array.from({ length: rows }, (_, i) => -sigma[j] * u[i * k + j]);
    const right = Float64Array.from({ length: columns }, (_, i) => -sigma[j] * v[i * k + j]);
    for (let at = 0; at < matrix.length; at++) {
      const i = Math.floor(at / columns);
      const p = at % columns;
      left[i] += matrix[at] * v[p * k + j];
      right[p] += matrix[at] * u[i * k + j];
    }
    worst = Math.max(worst, Math.hypot(...left), Math.hypot(...right));
  }
  return worst / (sigma[0] || 1);
}

/** What a cold start and the iterations after it must reach, relative to σ. */
function toleranceOf(name: string): number {
  // With 40 values within 4e-5 of one another the block stops on any of them: residuals cannot tell them apart.
  return name.includes('1e-6') ? 4e-5 : 1e-6;
}

describe.each(top)('cold start on $name', (fixture) => {
  const { rows, columns, sigma } = fixture;
  const matrix = Float32Array.from(matrixOf(fixture));
  const subspace = new TopSingularSubspace({ rows, columns, k: 4, seed: 1, name: fixture.name });

  it('finds σ as LAPACK does, with orthonormal vectors that belong to it', () => {
    const found = subspace.update(matrix);
    // Values below 1e-7 of the largest are rounding of the float32 input.
    const scale = (i: number) => Math.max(sigma[i], 1e-3 * sigma[0], 1e-38);
    const { error, index } = largestError(found.sigma, sigma, scale);
    expect(error, `at ${index}`).toBeLessThan(toleranceOf(fixture.name));
    expect(orthonormalityError(found.u, rows, subspace.k)).toBeLessThan(1e-6);
    expect(orthonormalityError(found.v, columns, subspace.k)).toBeLessThan(1e-6);
    expect(residual(matrix, rows, columns, found)).toBeLessThan(1.1e-4);
  });

  it('keeps it in warm iterations', () => {
    for (let i = 0; i < 10; i++) {
      const { error, index } = largestError(subspace.update(matrix).sigma, sigma, (j) =>
        Math.max(sigma[j], 1e-3 * sigma[0], 1e-38),
      );
      expect(error, `iteration ${i} at ${index}`).toBeLessThan(toleranceOf(fixture.name));
    }
  });
});

describe.each(sequences)('moving matrix: $name, iterations a step: $iterations', (sequence) => {
  it('follows LAPACK within 1e-4 at every step', () => {
    const { rows, columns, iterations } = sequence;
    const subspace = new TopSingularSubspace({ rows, columns, k: 4, seed: 2, name: sequence.name });
    let t = 0;
    const errors: number[] = [];
    for (const matrix of matricesOf(sequence)) {
      const expected = sequence.sigma[t++];
      const { sigma } = t === 1 ? subspace.update(matrix) : subspace.update(matrix, { iterations });
      errors.push(largestError(sigma, expected, (j) => expected[j]).error);
    }
    expect(errors).toHaveLength(50);
    const worst = Math.max(...errors);
    expect(worst, `at step ${errors.indexOf(worst)}`).toBeLessThan(1e-4);
  });
});

describe('TopSingularSubspace', () => {
  it('reaches a flat spectrum in 40 pairs of products, where plain iteration does not', () => {
    const fixture = top.find(({ name }) => name === 'dense 384x384');
    if (!fixture) throw new Error('fixture dense 384x384 is missing');
    const flat = Float32Array.from(matrixOf(fixture));
    const error = (limit: { iterations: number } | { maxIterations: number }) => {
      const subspace = new TopSingularSubspace({ rows: 384, columns: 384, k: 4, seed: 1, name: 'flat' });
      return largestError(subspace.update(flat, limit).sigma, fixture.sigma, (j) => fixture.sigma[j]).error;
    };
    expect(error({ maxIterations: 40 })).toBeLessThan(1e-6);
    expect(error({ iterations: 40 })).toBeGreaterThan(1e-5);
  });

  const rows = 24;
  const columns = 36;
  const options = { rows, columns, k: 3, seed: 5, name: 'w' };
  const matrix = Float32Array.from(hashed(11, rows * columns));

  it('continues from its state with the same bits', () => {
    const first = new TopSingularSubspace(options);
    first.update(matrix);
    first.update(matrix);
    const second = new TopSingularSubspace(options);
    second.restore(first.state());
    for (let i = 0; i < 5; i++) {
      const moved = matrix.map((value, at) => value * (1 + 0.01 * i * (at % 3)));
      expect(second.update(moved)).toEqual(first.update(moved));
    }
    expect(second.state()).toEqual(first.state());
  });

  it('has an all-zero state when cold, and restores it as cold', () => {
    const fresh = new TopSingularSubspace(options);
    expect(fresh.state().every((value) => value === 0)).toBe(true);
    const used = new TopSingularSubspace(options);
    used.update(matrix.map((_, at) => (at === 5 ? 1 : 0)));
    used.restore(fresh.state());
    expect(used.update(matrix)).toEqual(fresh.update(matrix));
  });

  it('gives the bits of update when its parts are composed outside', () => {
    const whole = new TopSingularSubspace(options);
    const parts = new TopSingularSubspace(options);
    const y = new Float64Array(rows * parts.width);
    const z = new Float64Array(columns * parts.width);
    for (let step = 0; step < 30; step++) {
      y.fill(0);
      z.fill(0);
      for (let at = 0; at < matrix.length; at++) {
        const [i, j] = [Math.floor(at / columns), at % columns];
        for (let c = 0; c < parts.width; c++) y[i * parts.width + c] += matrix[at] * parts.basis[j * parts.width + c];
      }
      const q = parts.orthonormalize(y);
      for (let at = 0; at < matrix.length; at++) {
        const [i, j] = [Math.floor(at / columns), at % columns];
        for (let c = 0; c < parts.width; c++) z[j * parts.width + c] += matrix[at] * q[i * parts.width + c];
      }
      const { sigma } = parts.ritz(z);
      const expected = whole.update(matrix, { iterations: 1 }).sigma;
      expect(largestError(sigma, expected, (j) => expected[j]).error).toBeLessThan(1e-12);
    }
  });

  it('takes float32 products, as an inference engine gives them', () => {
    const subspace = new TopSingularSubspace(options);
    const expected = Float64Array.from(subspace.update(matrix).sigma);
    const { width } = subspace;
    const y = new Float32Array(rows * width);
    const z = new Float32Array(columns * width);
    for (let i = 0; i < rows; i++) {
      for (let c = 0; c < width; c++) {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += matrix[i * columns + j] * Math.fround(subspace.basis[j * width + c]);
        y[i * width + c] = sum;
      }
    }
    const q = Float32Array.from(subspace.orthonormalize(y));
    for (let j = 0; j < columns; j++) {
      for (let c = 0; c < width; c++) {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += matrix[i * columns + j] * q[i * width + c];
        z[j * width + c] = sum;
      }
    }
    expect(largestError(subspace.ritz(z).sigma, expected, (j) => expected[j]).error).toBeLessThan(1e-6);
  });

  it('sees a large direction that grows where its block has no weight', () => {
    // A block-diagonal matrix whose second block was zero when the subspace converged.
    const blocks = matrix.map((value, at) => (Math.floor(at / columns) < 16 && at % columns < 16 ? value : 0));
    const subspace = new TopSingularSubspace(options);
    for (let i = 0; i < 30; i++) subspace.update(blocks);
    const grown = blocks.map((value, at) => (at === 20 * columns + 30 ? 40 : value));
    for (let i = 0; i < 4; i++) subspace.update(grown);
    expect(Math.abs(subspace.update(grown).sigma[0] - 40)).toBeLessThan(1e-3);
  });

  it('starts anew when a zero matrix becomes another', () => {
    const subspace = new TopSingularSubspace(options);
    const zero = subspace.update(new Float32Array(rows * columns));
    expect([...zero.sigma]).toEqual([0, 0, 0]);
    expect(orthonormalityError(zero.u, rows, 3)).toBeLessThan(1e-6);
    expect(orthonormalityError(zero.v, columns, 3)).toBeLessThan(1e-6);
    expect(subspace.update(matrix)).toEqual(new TopSingularSubspace(options).update(matrix));
  });

  it('clamps k, and is exact in one iteration where the block spans everything', () => {
    const subspace = new TopSingularSubspace({ rows: 5, columns: 9, k: 50, seed: 1, name: 'small' });
    expect([subspace.k, subspace.width]).toEqual([5, 5]);
    const small = matrix.subarray(0, 45);
    const first = Float64Array.from(subspace.update(small, { iterations: 1 }).sigma);
    const again = subspace.update(small, { iterations: 20 }).sigma;
    expect(largestError(first, again, () => again[0]).error).toBeLessThan(1e-14);
  });

  it('refuses NaN and infinity, and recovers', () => {
    const subspace = new TopSingularSubspace(options);
    const expected = Float64Array.from(subspace.update(matrix).sigma);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const broken = matrix.slice();
      broken[100] = bad;
      expect(() => subspace.update(broken)).toThrow(/^w: expected finite weights/);
    }
    expect(largestError(subspace.update(matrix).sigma, expected, (j) => expected[j]).error).toBeLessThan(1e-7);
  });

  it('refuses other sizes', () => {
    expect(() => new TopSingularSubspace({ ...options, k: 0 })).toThrow(InputError);
    expect(() => new TopSingularSubspace({ ...options, rows: 2.5 })).toThrow(InputError);
    const subspace = new TopSingularSubspace(options);
    expect(() => subspace.update(matrix.subarray(1))).toThrow(InputError);
    expect(() => subspace.restore(new Float64Array(3))).toThrow(InputError);
    expect(() => subspace.restore(subspace.state().fill(Number.NaN))).toThrow(InputError);
  });
});
