import type { ProgramCache } from '../engine/index.js';
import { cast, Graph, gemm } from '../graph/index.js';

/**
 * The smaller of `WᵀW` and `W·Wᵀ`, in double precision.
 *
 * @param matrix - `[rows, columns]`.
 * @param options - `pieceElements`: so many are cast to double precision at a time, of a tall matrix; default 32 MB.
 * @param programs - Computes it.
 * @returns `[side, side]`, of the shorter side; its eigenvalues are the squares of the singular values.
 */
export async function gramMatrix(
  matrix: Float32Array,
  { rows, columns, pieceElements = 4_000_000 }: { rows: number; columns: number; pieceElements?: number },
  programs: ProgramCache,
): Promise<Float64Array> {
  if (rows < columns) return gramOf(matrix, { rows, columns, isTall: false }, programs);
  const most = Math.max(1, Math.floor(pieceElements / columns));
  let sum: Float64Array | undefined;
  for (let row = 0; row < rows; row += most) {
    const piece = { rows: Math.min(most, rows - row), columns, isTall: true };
    const values = matrix.subarray(row * columns, (row + piece.rows) * columns);
    const gram = await gramOf(values, piece, programs);
    if (!sum) sum = gram;
    else for (let i = 0; i < sum.length; i++) sum[i] += gram[i];
  }
  return sum ?? new Float64Array(columns * columns);
}

async function gramOf(
  matrix: Float32Array,
  { rows, columns, isTall }: { rows: number; columns: number; isTall: boolean },
  programs: ProgramCache,
): Promise<Float64Array> {
  const program = await programs.get(`gram ${rows} ${columns} ${isTall}`, () => {
    const w = cast(new Graph().input('w', [rows, columns]), 'float64');
    return { gram: gemm(w, w, undefined, isTall ? { transA: true } : { transB: true }) };
  });
  // The next run overwrites its outputs.
  return ((await program.run({ w: matrix })).gram as Float64Array).slice();
}
