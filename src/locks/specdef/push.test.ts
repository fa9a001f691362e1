import { afterAll, describe, expect, it } from 'vitest';
import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { isLarge } from './matrices.js';
import { push } from './push.js';

function normals(size: number, name: string): Float32Array {
  const values = new Float32Array(size);
  new RandomStream(5, name).fillNormal(values, 0, 1);
  return values;
}

describe('push', () => {
  const programs = new ProgramCache({ threads: 1 });
  afterAll(() => programs.release());

  it.each([
    { rows: 5, columns: 7, k: 3, where: 'here' },
    { rows: 230, columns: 321, k: 4, where: 'here' },
    { rows: 230, columns: 321, k: 4, where: 'on the engine' },
    { rows: 230, columns: 321, k: 1, where: 'on the engine' },
    { rows: 1001, columns: 4000, k: 1, where: 'on the engine, in pieces' },
  ])('adds $k outer products to $rows×$columns, $where', async ({ rows, columns, k, where }) => {
    const onEngine = where !== 'here';
    if (onEngine) expect(isLarge({ rows, columns })).toBe(true);
    for (const alpha of [0.5, 0.1]) {
      const [gradient, left] = [normals(rows * columns, 'gradient'), normals(rows * k, 'left')];
      const v = normals(columns * k, 'v');
      const expected = gradient.map((value, at) => {
        const [i, j] = [Math.floor(at / columns), at % columns];
        let sum = alpha * value;
        for (let c = 0; c < k; c++) sum += left[i * k + c] * v[j * k + c];
        return sum;
      });
      await push({ name: 'w', rows, columns }, gradient, alpha, left, v, onEngine ? programs : undefined);
      const worst = gradient.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at])), 0);
      expect(worst).toBeLessThan(5e-6);
    }
  });
});
