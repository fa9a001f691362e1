import { multiplyRight, type RandomStream, symmetricEigen } from '../../linalg/index.js';

/** Rows that are drawn at once. */
const AT_ONCE = 1024;
/** Directions of less of the largest second moment are rounding. */
const LEAST = 1e-10;

/** Which rows are drawn, and how many codes there are for them. */
export interface UnseenOptions {
  /** Rows that are looked up fewer times; default 1. */
  readonly unseenBelow?: number;
  /** So many codes, one of which each row has by chance: then those of one code cannot be told apart; default each has its own. */
  readonly unseenCodes?: number;
}

/**
 * Puts random codes in the place of the rows of a table that nothing, or too little, looks up, in place: normal ones with the second
 * moment of the other rows, `Σ k·kᵀ / m`, so that they look like these and say nothing.
 *
 * @param table - `[rows, columns]`.
 * @param counts - How often each row is looked up, `[rows]`.
 * @returns How many rows were drawn: none where all are looked up, or none is.
 */
export function drawUnseen(
  table: Float32Array,
  counts: Float64Array,
  stream: RandomStream,
  { unseenBelow: below = 1, unseenCodes }: UnseenOptions = {},
): number {
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
  const codes = new Float64Array((unseenCodes ?? unseen.length) * columns);
  for (let start = 0; start < codes.length; start += AT_ONCE * columns) {
    const some = codes.subarray(start, start + AT_ONCE * columns);
    const rows = some.length / columns;
    const z = Float64Array.from({ length: rows * parts.length }, () => stream.normal());
    multiplyRight(z, rows, parts.length, basis, columns, some);
  }
  unseen.forEach((row, at) => {
    const code = unseenCodes === undefined ? at : stream.integer(unseenCodes);
    table.set(codes.subarray(code * columns, (code + 1) * columns), row * columns);
  });
  return unseen.length;
}
