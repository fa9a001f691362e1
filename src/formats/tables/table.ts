/** Rows of named columns, as a file has them. */
export interface Table {
  /** Names of the columns; of JSONL, all keys in the order in which they first occur. */
  readonly columns: readonly string[];
  /** Rows; a value is what the file's format gives: text, or for JSONL and Parquet also numbers, lists, objects. */
  readonly rows: readonly TableRow[];
}

/** One row of a {@link Table}. */
export interface TableRow {
  /** Where it stands in its file, from 1: its first line, or in a Parquet file the row. */
  readonly line: number;
  /** The value of a column; undefined where the row has none. */
  get(column: string): unknown;
}

/** What the file of a table is: by its name, without `.gz`. */
export type TableFormat = 'tsv' | 'csv' | 'jsonl' | 'parquet' | 'txt';

/** Names of files that are tables. */
export const TABLE_NAME = /\.(tsv|csv|jsonl|parquet|txt)(\.gz)?$/i;

/** The format of a file by its name, or undefined where it is no table's. */
export function tableFormat(name: string): TableFormat | undefined {
  return TABLE_NAME.exec(name)?.[1].toLowerCase() as TableFormat | undefined;
}

/** Limits of a table: a file is untrusted, and all of it comes to lie in memory. */
export const tableLimits = {
  /** Bytes of a file, decompressed: 1 GiB. */
  bytes: 2 ** 30,
  /** Bytes of a row: no text that a model reads is as long. */
  rowBytes: 2 ** 24,
  /** Rows. */
  rows: 10_000_000,
  /** Columns. */
  columns: 10_000,
} as const;
