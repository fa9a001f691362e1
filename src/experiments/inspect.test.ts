import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MatrixFixture, matrixOf, readFixture } from '../../test/support/linalg-fixtures.js';
import { fromFloat32, type StoredTensor, writeSafetensors } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { inspectTensors, openMatrices } from './index.js';

/** Condition numbers of float32 matrices by LAPACK in double precision; none where an exact elimination finds a lower rank. */
type ConditionFixture = Omit<MatrixFixture, 'sigma'> & { condition: number | null };

const { condition: fixtures } = readFixture<{ condition: ConditionFixture[] }>('linalg-condition');

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-inspect-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

async function open(tensors: StoredTensor[]) {
  await writeSafetensors(join(root, 'a.safetensors'), { tensors, metadata: {} });
  return openMatrices(join(root, 'a.safetensors'));
}

async function inspect(tensors: StoredTensor[], exact = false) {
  return inspectTensors((await open(tensors)).tensors, { topK: 4, exact });
}

const tensor = (name: string, shape: number[], dtype: StoredTensor['dtype'] = 'F32', fill = 0) =>
  fromFloat32(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill), { name, dtype, shape });

describe('matrices', () => {
  it.each(fixtures)('condition of $name', async ({ name, rows, columns, source, condition: expected }) => {
    const values = new Float32Array(matrixOf({ rows, columns, source }));
    const { matrices } = await inspect([fromFloat32(values, { name, dtype: 'F32', shape: [rows, columns] })]);
    const condition = matrices[0].condition ?? Number.NaN;
    if (expected === null) {
      expect(condition).toBe(Number.POSITIVE_INFINITY);
      return;
    }
    // Two SVDs in double precision agree on the smallest value to some roundings of the largest.
    const error = Math.abs(condition / expected - 1);
    const allowed = 4 * Math.max(rows, columns) * 2 ** -53 * expected;
    expect(error, `found ${condition}, expected ${expected}`).toBeLessThanOrEqual(Math.max(allowed, 1e-14));
  });

  it('of more than 512 on both sides have a condition number where it is asked for alone', async () => {
    // 513 values from 1 to 513 on the diagonal: σ1 to σ4 and the condition number can be read off.
    const diagonal = new Float32Array(513 * 520);
    for (let i = 0; i < 513; i++) diagonal[i * 520 + i] = i + 1;
    const large = fromFloat32(diagonal, { name: 'w', dtype: 'F32', shape: [513, 520] });
    const [quick] = (await inspect([large])).matrices;
    const [exact] = (await inspect([large], true)).matrices;
    expect(quick).not.toHaveProperty('condition');
    expect(exact.condition).toBeCloseTo(513, 8);
    for (const { sigma, frobenius } of [quick, exact]) {
      for (const [i, value] of sigma.entries()) expect(Math.abs(value / (513 - i) - 1)).toBeLessThan(1e-5);
      expect(sigma).toHaveLength(4);
      expect(frobenius).toBeCloseTo(Math.sqrt((513 * 514 * 1027) / 6), 6);
    }
  });

  it('that hold NaN are marked', async () => {
    const values = new Float32Array(6).fill(1);
    values[4] = Number.NaN;
    const { matrices } = await inspect([fromFloat32(values, { name: 'w', dtype: 'F16', shape: [2, 3] })]);
    expect(matrices[0]).toEqual({
      name: 'w',
      dtype: 'F16',
      shape: [2, 3],
      sigma: [],
      condition: Number.NaN,
      frobenius: Number.NaN,
      notFinite: { value: Number.NaN, index: [1, 1], count: 1 },
    });
  });

  it('are float tensors of two or more axes; others that are not finite are remarked on, and all have a digest', async () => {
    const tensors = [
      tensor('w', [2, 3], 'BF16'),
      tensor('ids', [2, 2], 'I32'),
      tensor('none', [0, 2]),
      tensor('bias', [3], 'F16', Number.POSITIVE_INFINITY),
      tensor('scale', [3]),
    ];
    const inspection = await inspect(tensors);
    expect(inspection.matrices.map(({ name }) => name)).toEqual(['w']);
    expect(inspection.remarks).toEqual(['bias is not finite: Infinity at [0], 3 such values.']);
    expect(inspection.tensors.map(({ name }) => name)).toEqual(['w', 'ids', 'none', 'bias', 'scale']);
    const reversed = await inspect(tensors.toReversed());
    expect(reversed.sha256).toBe(inspection.sha256);
    expect(reversed.tensors.toReversed()).toEqual(inspection.tensors);
  });
});

describe('a file without a matrix', () => {
  it.each<[StoredTensor[], string]>([
    [[], 'found no tensors; give the file that holds the weights'],
    [
      [tensor('a', [3]), tensor('b', [])],
      'found 2 tensors of at most one axis, or empty; singular values are those of',
    ],
    [[tensor('ids', [2, 2], 'I64')], 'found one tensor of type I64; singular values are those of'],
  ])('%#', async (tensors, message) => {
    const reading = open(tensors);
    await expect(reading).rejects.toThrow(
      /a\.safetensors: expected a weight matrix \(a float tensor of two or more axes\), /,
    );
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(InputError);
  });
});
