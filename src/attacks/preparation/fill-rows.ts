import type { FlopTally } from '../../engine/index.js';
import { multiplyRight, RandomStream } from '../../linalg/index.js';
import { addFlops, uncounted } from './closed-forms.js';
import { centred, meanOf, RidgeRegression } from './ridge-regression.js';

/** A table, `[rows, columns]`, and what a public model says of each row: nothing of some. */
export interface SaidOfRows {
  /** `[rows, columns]`. */
  readonly table: Float32Array;
  /** `[rows, width]`. */
  readonly vectors: Float64Array;
  /** How many rows the table has. */
  readonly rows: number;
  /** Rows that are as they were. */
  readonly trusted: readonly number[];
  /** Rows that the vectors are to fill. */
  readonly filled: readonly number[];
}

/** Of the trusted rows, every so many is held out to choose the ridge by. */
const heldOut = 5;
/** Ridges, of the mean eigenvalue. */
const ridges = Array.from({ length: 11 }, (_, at) => 10 ** (at / 2 - 3));
/** A table that says less of what the vectors do is not like them: a share of its variance. */
export const leastShare = 0.02;

/**
 * Fills rows of a table with what a ridge regression on public vectors says of them, fitted to the rows that are trusted, at the spread of
 * those. Where the vectors say nothing of these, as of a table that was just drawn, all rows get the vectors themselves, under a random
 * projection, at the table's own spread.
 *
 * @returns The table, and the share of its variance that the vectors explain on trusted rows held out; below 0.02: that projection.
 */
export function fillRows(
  { table, vectors, rows, trusted, filled }: SaidOfRows,
  tally: FlopTally = uncounted(),
): { readonly table: Float32Array; readonly share: number } {
  const [columns, width] = [table.length / rows, vectors.length / rows];
  const x = (some: readonly number[]) => rowsOf(vectors, some, width);
  const y = (some: readonly number[]) => rowsOf(table, some, columns);
  const made = table.slice();
  const put = (
    some: readonly number[],
    values: Float64Array,
    { mean, factor }: { mean?: Float64Array; factor: number },
  ) =>
    some.forEach((row, at) => {
      for (let c = 0; c < columns; c++) {
        const center = mean?.[c] ?? 0;
        made[row * columns + c] = center + factor * (values[at * columns + c] - center);
      }
    });
  const { ridge, share } = bestRidge(trusted, x, y, tally);
  if (share < leastShare) {
    const all = [...trusted, ...filled];
    const drawn = projected(x(all), all.length, columns, tally);
    put(all, drawn, { factor: spread(y(all), all.length) / spread(drawn, all.length) });
    return { table: made, share };
  }
  const regression = new RidgeRegression(x(trusted), y(trusted), trusted.length, tally);
  // A regression says less of what it is unsure of: the network is used to more.
  const factor = spread(y(trusted), trusted.length) / spread(regression.predict(x(trusted), ridge), trusted.length);
  put(filled, regression.predict(x(filled), ridge), { mean: regression.mean, factor });
  return { table: made, share };
}

/** The ridge that explains most of the variance of trusted rows held out, and how much that is; none: 0. */
function bestRidge(
  trusted: readonly number[],
  x: (some: readonly number[]) => Float64Array,
  y: (some: readonly number[]) => Float64Array,
  tally: FlopTally,
): { readonly ridge: number; readonly share: number } {
  const train = trusted.filter((_, at) => at % heldOut !== 0);
  const held = trusted.filter((_, at) => at % heldOut === 0);
  let best = { ridge: ridges[0], share: 0 };
  if (held.length < 2) return best;
  const regression = new RidgeRegression(x(train), y(train), train.length, tally);
  const given = y(held);
  const all = squares(centred(given, regression.mean));
  for (const ridge of ridges) {
    const said = regression.predict(x(held), ridge);
    const share = 1 - squares(said.map((value, at) => value - given[at])) / all;
    if (share > best.share) best = { ridge, share };
  }
  return best;
}

/** Centred vectors under a projection of normal numbers, the same each time. */
function projected(x: Float64Array, rows: number, columns: number, tally: FlopTally): Float64Array {
  const width = x.length / rows;
  const stream = new RandomStream(0, 'projection of word vectors');
  const projection = Float64Array.from({ length: width * columns }, () => stream.normal());
  const made = new Float64Array(rows * columns);
  multiplyRight(centred(x, meanOf(x, rows)), rows, width, projection, columns, made);
  addFlops(tally, 2 * rows * width * columns);
  return made;
}

function rowsOf(x: ArrayLike<number>, some: readonly number[], columns: number): Float64Array {
  const found = new Float64Array(some.length * columns);
  for (const [at, row] of some.entries()) {
    for (let c = 0; c < columns; c++) found[at * columns + c] = x[row * columns + c];
  }
  return found;
}

const squares = (x: Float64Array) => x.reduce((sum, value) => sum + value * value, 0);

/** Root of the mean square about the mean. */
const spread = (x: Float64Array, rows: number) => Math.sqrt(squares(centred(x, meanOf(x, rows))) / x.length) || 1;
