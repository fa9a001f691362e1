import { multiplyRight, type RandomStream, symmetricEigen } from '../../linalg/index.js';

/** Rows that are drawn at once. */
const AT_ONCE = 1024;
/** Directions of less of the largest second moment are rounding. */
const LEAST = 1e-10;

/**
 * Puts random codes in the place of the rows of a table that nothing, or too little, looks up, in place: normal ones with the second moment of the rows
 * that something does, `Σ k·kᵀ / m`, so that they look like these and say nothing.
 *
 * @param table - `[rows, columns]`.
 * @param counts - How often each row is looked up, `[rows]`.
 * @param below - Rows that are looked up fewer times are drawn; default 1.
 * @returns How many rows were drawn: none where all are looked up, or none is.
 */
export function drawUnseen(table: Float32Array, counts: Float64Array, stream: RandomStream, below = 1): number {
  const columns = table.length / counts.length;
  const rowsWhere = (is: (count: number) => boolean) => [...counts.keys()].filter((row) => is(counts[row]));
  const [seen, unseen] = [rowsWhere((count) => count >= below), rowsWhere((count) => count < below)];
  if (seen.length === 0 || unseen.length === 0) return 0;
  const kept = new Float64Array(seen.length * columns);
  const turned = new Float64Array(kept.length);
  seen.forEach((row, at) => {
    for (let c = 0; c < columns; c++) {
      const value = table[row * columns + c];
      kept[at * columns + c] = value;
      turned[c * seen.length + at] = value / seen.length;
    }
  });
  const moment = new Float64Array(columns * columns);
  multiplyRight(turned, columns, seen.length, kept, columns, moment);
  const { values, vectors } = symmetricEigen(moment, columns, { vectors: true });
  const least = LEAST * values.reduce((most, value) => Math.max(most, value), 0);
  const parts = [...values.keys()].filter((part) => values[part] > least);
  // With S = V·Λ·Vᵀ: z·Λ^½·Vᵀ, [parts, columns].
  const basis = new Float64Array(parts.length * columns);
  parts.forEach((part, at) => {
    const root = Math.sqrt(values[part]);
    for (let c = 0; c < columns; c++) basis[at * columns + c] = root * vectors[part * columns + c];
  });
  for (let start = 0; start < unseen.length; start += AT_ONCE) {
    const rows = unseen.slice(start, start + AT_ONCE);
    const z = Float64Array.from({ length: rows.length * parts.length }, () => stream.normal());
    const codes = new Float64Array(rows.length * columns);
    multiplyRight(z, rows.length, parts.length, basis, columns, codes);
    rows.forEach((row, at) => {
      table.set(codes.subarray(at * columns, (at + 1) * columns), row * columns);
    });
  }
  return unseen.length;
}
