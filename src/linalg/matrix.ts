import { InputError } from '../registry/index.js';

/** A dense row-major matrix's values. */
export type RealArray = Float32Array | Float64Array;

/**
 * Refuses values that are no finite `rows × columns` matrix.
 *
 * @throws InputError naming `what` and the first bad index.
 */
export function requireFiniteMatrix(matrix: RealArray, rows: number, columns: number, what: string): void {
  requireShape(matrix, rows, columns, what);
  for (let i = 0; i < matrix.length; i++) {
    if (!Number.isFinite(matrix[i])) {
      const place = `[${Math.floor(i / columns)}, ${i % columns}]`;
      throw new InputError(`${what}: expected finite values, found ${matrix[i]} at ${place}`);
    }
  }
}

/**
 * Refuses sizes that are no positive integers or do not match the number of values.
 *
 * @throws InputError naming `what`.
 */
export function requireShape(matrix: RealArray, rows: number, columns: number, what: string): void {
  if (!(Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0)) {
    throw new InputError(`${what}: expected positive sizes, found ${rows} × ${columns}`);
  }
  if (matrix.length !== rows * columns) {
    throw new InputError(`${what}: expected ${rows} × ${columns} values, found ${matrix.length}`);
  }
}

/**
 * The power of two that brings the largest magnitude near 1, so that squares neither overflow nor vanish; 1 for zeros.
 * Powers of two scale without rounding.
 */
export function powerOfTwoScale(values: RealArray): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > largest) largest = size;
  }
  if (largest === 0) return 1;
  // 2^±1000 keeps both the scale and its reciprocal normal numbers, and is enough for any double.
  return 2 ** Math.max(-1000, Math.min(1000, -Math.floor(Math.log2(largest))));
}

/** Writes the transpose of a row-major `rows × columns` matrix to `out`, `columns × rows`. */
export function transpose(matrix: RealArray, rows: number, columns: number, out: RealArray): void {
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0, to = i; j < columns; j++, at++, to += rows) out[to] = matrix[at];
  }
}
