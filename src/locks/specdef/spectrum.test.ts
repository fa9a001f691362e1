import { describe, expect, it } from 'vitest';
import { ProgramCache } from '../../engine/index.js';
import { exactSingularValues, RandomStream } from '../../linalg/index.js';
import { tripletSource } from './spectrum.js';

const matrix = { name: 'w', rows: 320, columns: 400 };
const k = 4;

/** A random matrix that grows along one direction with every step, as a lock makes it. */
function* growing(): Generator<Float32Array> {
  const { rows, columns } = matrix;
  const noise = new Float32Array(rows * columns);
  new RandomStream(1, 'noise').fillNormal(noise, 0, 0.05);
  const [u, v] = [new Float32Array(rows), new Float32Array(columns)];
  new RandomStream(1, 'u').fillNormal(u, 0, 1 / Math.sqrt(rows));
  new RandomStream(1, 'v').fillNormal(v, 0, 1 / Math.sqrt(columns));
  for (let step = 0; ; step++) {
    const size = 3 + 0.01 * step;
    yield noise.map((value, index) => value + size * u[Math.floor(index / columns)] * v[index % columns]);
  }
}

describe('tripletSource on the engine', () => {
  it('follows a large matrix as a full SVD sees it, with the same bits after a restart', async () => {
    const programs = new ProgramCache({ threads: 1 });
    const source = tripletSource(matrix, k, 7, { programs });
    const other = tripletSource(matrix, k, 7, { programs });
    const weights = growing();
    for (let step = 0; step < 6; step++) {
      const w = weights.next().value as Float32Array;
      if (step === 3) other.restore(source.state());
      const { sigma, u, v } = await source.triplets(w);
      const found = [...sigma, ...u, ...v];
      const exact = exactSingularValues(w, matrix.rows, matrix.columns);
      for (let j = 0; j < k; j++) {
        expect(Math.abs(sigma[j] - exact[j]) / exact[j], `step ${step}, σ${j + 1}`).toBeLessThan(1e-4);
      }
      if (step < 3) continue;
      const again = await other.triplets(w);
      expect([...again.sigma, ...again.u, ...again.v]).toEqual(found);
    }
    await programs.release();
  });
});
