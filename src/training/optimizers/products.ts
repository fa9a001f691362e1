import { multiplyRight } from '../../linalg/index.js';
import { matrixProduct } from '../matrix-products.js';
import { gram, solveLower } from './kron-kernels.js';

/** Products of matrices in float64, those of optimizers: large ones on the engine. */

/** From so many products of two numbers on the engine is worth its call. */
const worthCall = 2 ** 18;
/** As many of a product that is symmetric or of a triangle, of which half is computed here. */
const worthCallOfHalf = 2 * worthCall;
/** A triangle of so many rows is solved here. */
const solvedHere = 128;

/**
 * `out = a · b`.
 *
 * @param a - `[rows, inner]`.
 * @param b - `[inner, columns]`.
 * @param out - Receives `[rows, columns]`; neither a nor b.
 */
export async function multiply(
  a: Float64Array,
  b: Float64Array,
  { rows, inner, columns }: { rows: number; inner: number; columns: number },
  out: Float64Array,
): Promise<void> {
  if (rows * inner * columns < worthCall) multiplyRight(a, rows, inner, b, columns, out);
  else await matrixProduct({ values: a, shape: [rows, inner] }, { values: b, shape: [inner, columns] }, out);
}

/**
 * `out = x · xᵀ`.
 *
 * @param x - `[n, width]`.
 * @param out - Receives `[n, n]`.
 */
export async function multiplyByOwnTranspose(
  x: Float64Array,
  n: number,
  width: number,
  out: Float64Array,
): Promise<void> {
  if (n * n * width < worthCallOfHalf) gram(x, n, width, out);
  else await matrixProduct({ values: x, shape: [n, width] }, { values: x, shape: [n, width], isTransposed: true }, out);
}

/**
 * `out = q · x` of a triangular matrix.
 *
 * @param q - `[n, n]`, 0 on the other side.
 * @param upper - Which side of q holds values: the upper one, or the lower.
 * @param x - `[n, width]`.
 * @param out - Receives `[n, width]`; not x.
 */
export async function multiplyByTriangle(
  q: Float64Array,
  n: number,
  upper: boolean,
  x: Float64Array,
  width: number,
  out: Float64Array,
): Promise<void> {
  if (n * n * width < worthCallOfHalf) multiplyRight(q, n, n, x, width, out, upper ? 'upper' : 'lower');
  else await matrixProduct({ values: q, shape: [n, n] }, { values: x, shape: [n, width] }, out);
}

/**
 * `x = l⁻¹ x` in place: by halves, the lower one without what the upper one explains.
 *
 * @param l - `[n, n]`, lower triangular.
 * @param x - `[n, width]`.
 */
export async function solveTriangle(l: Float64Array, n: number, x: Float64Array, width: number): Promise<void> {
  if (n <= solvedHere || n * n * width < worthCallOfHalf) {
    solveLower(l, n, x, width);
    return;
  }
  const half = n >> 1;
  const rest = n - half;
  const block = (row: number, column: number, rows: number, columns: number) => {
    const values = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      const at = (row + i) * n + column;
      values.set(l.subarray(at, at + columns), i * columns);
    }
    return values;
  };
  const [above, below] = [x.subarray(0, half * width), x.subarray(half * width)];
  await solveTriangle(block(0, 0, half, half), half, above, width);
  const explained = new Float64Array(rest * width);
  await multiply(block(half, 0, rest, half), above.slice(), { rows: rest, inner: half, columns: width }, explained);
  for (let i = 0; i < explained.length; i++) below[i] -= explained[i];
  await solveTriangle(block(half, half, rest, rest), rest, below, width);
}
