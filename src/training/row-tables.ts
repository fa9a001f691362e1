import { ancestors, type Tensor, type TypedArray } from '../graph/index.js';

/** Rows of tables by the tables' names, ascending. */
export type NamedRows = ReadonlyMap<string, Uint32Array>;

/** A parameter of which a batch uses the rows that it names and no other: a table of embeddings. */
export interface RowTable {
  /** Name of the parameter, `[count, width]`. */
  readonly name: string;
  /** How many rows it has. */
  readonly count: number;
  /** Numbers of a row. */
  readonly width: number;
  /** Name of the graph input that holds the numbers of the rows, int64. */
  readonly ids: string;
  /** The rows in their order, one a number, `[...ids, width]`. */
  readonly rows: Tensor;
  /** How many numbers a batch holds. */
  readonly lookups: number;
}

/**
 * The tables among some parameters: matrices that a loss depends on through one lookup by an input's numbers alone. A table that
 * is also multiplied with, as one that is tied to the output, is none: all of its rows have gradients.
 */
export function rowTables(loss: Tensor, parameters: ReadonlyMap<string, Tensor>): RowTable[] {
  const nodes = ancestors([loss]);
  return [...parameters].flatMap(([name, table]) => {
    const [use, ...others] = nodes.filter(({ inputs }) => inputs.includes(table));
    if (use?.op !== 'Gather' || others.length > 0 || table.rank !== 2) return [];
    const [data, ids] = use.inputs;
    const { axis } = use.attributes as { axis: number };
    if (data !== table || axis !== 0 || ids?.source.kind !== 'input') return [];
    const [count, width] = table.shape;
    return [{ name, count, width, ids: ids.source.name, rows: use.outputs[0], lookups: ids.size }];
  });
}

/**
 * The gradients of tables by rows, of the rows that a whole batch names, by the tables' names.
 *
 * @param feeds - What was looked up, by graph input.
 * @param results - The gradient of each lookup, `rows <name>`.
 */
export function rowGradients(
  tables: readonly RowTable[],
  {
    named,
    feeds,
    results,
  }: {
    named: NamedRows;
    feeds: Readonly<Record<string, TypedArray>>;
    results: Readonly<Record<string, TypedArray>>;
  },
): [string, Float32Array][] {
  return tables.map(({ name, width, ids }) => {
    const rows = named.get(name) ?? new Uint32Array();
    const sums = new Float32Array(rows.length * width);
    sumRows(results[`rows ${name}`] as Float32Array, feeds[ids] as BigInt64Array, rows, sums);
    return [name, sums];
  });
}

/**
 * Adds the gradients of looked-up rows where they belong.
 *
 * @param found - One row a lookup, `[ids.length, width]`.
 * @param ids - The row of each lookup.
 * @param named - The rows of `sums`, ascending; all of `ids` are among them.
 * @param sums - `[named.length, width]`, zeros at first.
 */
function sumRows(found: Float32Array, ids: BigInt64Array, named: Uint32Array, sums: Float32Array): void {
  const width = sums.length / named.length;
  const place = new Map(Array.from(named, (id, at) => [id, at]));
  for (let lookup = 0; lookup < ids.length; lookup++) {
    const to = (place.get(Number(ids[lookup])) ?? 0) * width;
    const from = lookup * width;
    for (let j = 0; j < width; j++) sums[to + j] += found[from + j];
  }
}
