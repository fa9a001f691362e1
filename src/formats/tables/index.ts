import { InputError } from '../../registry/index.js';
import { readMaybeGzip } from '../gzip.js';
import { parseCsv, parseTsv } from './delimited.js';
import { parseJsonl } from './jsonl.js';
import { linesOf, requireText } from './lines.js';
import { parseParquet } from './parquet.js';
import { type Table, type TableRow, tableFormat, tableLimits } from './table.js';

/** The only column of a plain text: its lines. */
export const PLAIN_TEXT = 'text';

/**
 * Reads a table, by its name's ending: `.tsv`, `.csv`, `.jsonl`, `.parquet`, or `.txt` (one column {@link PLAIN_TEXT}, a row a
 * line); also compressed with gzip.
 *
 * @param options - `quoting`: whether a TSV quotes its fields as a CSV does; default false.
 * @throws InputError when it is missing, damaged, empty, too large, or no text, with the line where there is one.
 */
export async function readTable(path: string, { quoting = false }: { quoting?: boolean } = {}): Promise<Table> {
  const format = tableFormat(path);
  if (format === undefined) {
    throw new InputError(
      `${path}: expected a file .tsv, .csv, .jsonl, .parquet or .txt, also with .gz, found another name`,
    );
  }
  if (quoting && format !== 'tsv') throw new InputError(`data.quoting: expected a TSV file, got ${path}`);
  const stored = await readMaybeGzip(path, tableLimits.bytes);
  if (format === 'parquet') return parseParquet(path, stored);
  const bytes = requireText(path, stored);
  switch (format) {
    case 'tsv':
      return quoting ? parseCsv(path, bytes, '\t') : parseTsv(path, bytes);
    case 'csv':
      return parseCsv(path, bytes, ',');
    case 'jsonl':
      return parseJsonl(path, bytes);
    case 'txt': {
      const rows: TableRow[] = Array.from(linesOf(path, bytes), ({ line, text }) => ({
        line,
        get: (column) => (column === PLAIN_TEXT ? text : undefined),
      }));
      if (rows.length === 0) throw new InputError(`${path}: expected text, found an empty file`);
      return { columns: [PLAIN_TEXT], rows };
    }
  }
}
