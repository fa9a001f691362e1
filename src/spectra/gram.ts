import type { ProgramCache } from '../engine/index.js';
import { cast, Graph, gemm } from '../graph/index.js';

/**
 * The smaller of `WᵀW` and `W·Wᵀ`, in double precision. Beside it memory holds a second one, which the program keeps, and a piece of the matrix;
 * programs are shared by the matrices of one shorter side.
 *
 * @param matrix - `[rows, columns]`.
 * @param options - `pieceElements`: so many are cast to double precision at a time; default 1,000,000, 8 MB.
 * @param programs - Computes it.
 * @returns `[side, side]`, of the shorter side; its eigenvalues are the squares of the singular values.
 */
export async function gramMatrix(
  matrix: Float32Array,
  { rows, columns, pieceElements = 1_000_000 }: { rows: number; columns: number; pieceElements?: number },
  programs: ProgramCache,
): Promise<Float64Array> {
  const [side, length] = rows < columns ? [rows, columns] : [columns, rows];
  const most = Math.min(length, Math.max(1, Math.floor(pieceElements / side)));
  const sum = new Float64Array(side * side);
  let piece: Float32Array | undefined;
  for (let start = 0; start < length; start += most) {
    const lines = Math.min(most, length - start);
    let values: Float32Array;
    if (side === columns && lines === most) values = matrix.subarray(start * side, (start + lines) * side);
    else {
      piece ??= new Float32Array(most * side);
      // Lines of zeros add nothing: the last piece needs no program of its own.
      piece.fill(0, lines * side);
      if (side === columns) piece.set(matrix.subarray(start * side));
      else transpose(matrix, { rows, columns, start, lines }, piece);
      values = piece;
    }
    const program = await programs.get(`gram ${most} ${side}`, () => {
      const w = cast(new Graph().input('w', [most, side]), 'float64');
      return { gram: gemm(w, w, undefined, { transA: true }) };
    });
    const gram = (await program.run({ w: values })).gram as Float64Array;
    for (let i = 0; i < sum.length; i++) sum[i] += gram[i];
  }
  return sum;
}

/** Lines that a transposition writes side by side: few enough to stay in the cache. */
const SIDE_BY_SIDE = 8;

/** Columns of a matrix as the lines of a piece: `piece[i, row] = matrix[row, start + i]`. */
function transpose(
  matrix: Float32Array,
  { rows, columns, start, lines }: { rows: number; columns: number; start: number; lines: number },
  piece: Float32Array,
): void {
  for (let first = 0; first < lines; first += SIDE_BY_SIDE) {
    const end = Math.min(lines, first + SIDE_BY_SIDE);
    for (let row = 0; row < rows; row++) {
      const from = row * columns + start;
      for (let i = first; i < end; i++) piece[i * rows + row] = matrix[from + i];
    }
  }
}
