import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type MatrixFixture, matrixOf, readFixture } from '../../test/support/linalg-fixtures.js';
import { fromFloat32, type StoredTensor, writeSafetensors } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { inspectMatrix, readMatrices } from './index.js';

/** Condition numbers of float32 matrices by LAPACK in double precision; none where an exact elimination finds a lower rank. */
type ConditionFixture = Omit<MatrixFixture, 'sigma'> & { condition: number | null };

const { condition: fixtures } = readFixture<{ condition: ConditionFixture[] }>('linalg-condition');

function inspect({ name, rows, columns, source }: ConditionFixture) {
  const values = new Float32Array(matrixOf({ rows, columns, source }));
  return inspectMatrix(fromFloat32(values, { name, dtype: 'F32', shape: [rows, columns] }), 4);
}

describe('inspectMatrix', () => {
  it.each(fixtures)('condition of $name', (fixture) => {
    const { condition } = inspect(fixture);
    if (fixture.condition === null) {
      expect(condition).toBe(Number.POSITIVE_INFINITY);
      return;
    }
    // Two SVDs in double precision agree on the smallest value to some roundings of the largest.
    const error = Math.abs(condition / fixture.condition - 1);
    const allowed = 4 * Math.max(fixture.rows, fixture.columns) * 2 ** -53 * fixture.condition;
    expect(error, `found ${condition}, expected ${fixture.condition}`).toBeLessThanOrEqual(Math.max(allowed, 1e-14));
  });

  it('marks a matrix that holds NaN', () => {
    const values = new Float32Array(6).fill(1);
    values[4] = Number.NaN;
    const report = inspectMatrix(fromFloat32(values, { name: 'w', dtype: 'F16', shape: [2, 3] }), 4);
    expect(report).toEqual({
      name: 'w',
      dtype: 'F16',
      shape: [2, 3],
      sigma: [],
      condition: Number.NaN,
      frobenius: Number.NaN,
      notFinite: { value: Number.NaN, index: [1, 1], count: 1 },
    });
  });
});

describe('readMatrices', () => {
  const tensor = (name: string, shape: number[], dtype: StoredTensor['dtype'] = 'F32', fill = 0) =>
    fromFloat32(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill), { name, dtype, shape });

  async function read(tensors: StoredTensor[]) {
    const root = await mkdtemp(join(tmpdir(), 'weightlock-inspect-'));
    try {
      await writeSafetensors(join(root, 'a.safetensors'), { tensors, metadata: {} });
      return await readMatrices(join(root, 'a.safetensors'));
    } finally {
      await rm(root, { recursive: true });
    }
  }

  it('takes float tensors of two or more axes, and remarks on others that are not finite', async () => {
    const { matrices, remarks } = await read([
      tensor('w', [2, 3], 'BF16'),
      tensor('ids', [2, 2], 'I32'),
      tensor('none', [0, 2]),
      tensor('bias', [3], 'F16', Number.POSITIVE_INFINITY),
      tensor('scale', [3]),
    ]);
    expect(matrices.map(({ name }) => name)).toEqual(['w']);
    expect(remarks).toEqual(['bias is not finite: Infinity at [0], 3 such values.']);
  });

  it.each<[StoredTensor[], string]>([
    [[], 'found no tensors; give the file that holds the weights'],
    [
      [tensor('a', [3]), tensor('b', [])],
      'found 2 tensors of at most one axis, or empty; singular values are those of',
    ],
    [[tensor('ids', [2, 2], 'I64')], 'found one tensor of type I64; singular values are those of'],
  ])('%#', async (tensors, message) => {
    const reading = read(tensors);
    await expect(reading).rejects.toThrow(
      /a\.safetensors: expected a weight matrix \(a float tensor of two or more axes\), /,
    );
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(InputError);
  });
});
