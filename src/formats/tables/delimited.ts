import { type CsvError, type Info, parse } from 'csv-parse/sync';
import { InputError, lineOf, quote } from '../../registry/index.js';
import { linesOf } from './lines.js';
import { type Table, type TableRow, tableLimits } from './table.js';

/**
 * Reads tab-separated text as GLUE has it: a header line, no quoting, so that a `"` is a character as any other.
 *
 * @throws InputError for an empty file, a header whose columns are quoted or named twice, or a row with another number of
 *   fields, with its line.
 */
export function parseTsv(path: string, bytes: Uint8Array): Table {
  let columns: string[] | undefined;
  const rows: TableRow[] = [];
  for (const { line, text } of linesOf(path, bytes)) {
    const fields = text.split('\t');
    if (columns === undefined) {
      if (fields.every((field) => /^".*"$/.test(field))) {
        throw new InputError(
          `${path}:1: expected names of columns without quotes, found ${quote(text)}; give data.quoting`,
        );
      }
      columns = requireColumns(path, fields);
      continue;
    }
    // A blank line at the end is no row.
    if (text === '' && columns.length > 1) {
      continue;
    }
    rows.push(rowOf(path, line, fields, columns));
    requireRows(path, rows.length);
  }
  return { columns: columns ?? requireColumns(path, []), rows };
}

/**
 * Reads separated text with quoting as RFC 4180 has it, and a header line.
 *
 * @throws InputError as {@link parseTsv}, and for a quote that is not closed or stands within a field.
 */
export function parseCsv(path: string, bytes: Uint8Array, delimiter: ',' | '\t'): Table {
  let records: { record: string[]; info: Info }[];
  try {
    records = parse<{ record: string[]; info: Info }>(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
      delimiter,
      info: true,
      columns: false,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: tableLimits.rowBytes,
    } as never) as never;
  } catch (error) {
    const { lines, code } = error as CsvError & { lines?: number };
    throw new InputError(`${path}:${lines ?? 1}: ${CSV_ERRORS[String(code)] ?? lineOf(error)}`);
  }
  const [header, ...found] = records;
  const columns = requireColumns(path, header?.record ?? []);
  requireRows(path, found.length);
  // A record's number is that of its last line.
  let line = header?.info.lines ?? 1;
  const rows = found.map(({ record, info }) => {
    const row = rowOf(path, line + 1, record, columns);
    line = info.lines;
    return row;
  });
  return { columns, rows };
}

const CSV_ERRORS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'expected a closing quote, the file ended',
  CSV_INVALID_CLOSING_QUOTE: 'expected a delimiter after a closing quote, found another character',
  INVALID_OPENING_QUOTE: 'expected a quote at the beginning of a field, found it within one',
  CSV_MAX_RECORD_SIZE: `expected a row of at most ${tableLimits.rowBytes} bytes, found more`,
};

function requireColumns(path: string, columns: readonly string[]): string[] {
  if (columns.length === 0)
    throw new InputError(`${path}: expected a line with the names of columns, found an empty file`);
  if (columns.length > tableLimits.columns) {
    throw new InputError(`${path}: expected at most ${tableLimits.columns} columns, found ${columns.length}`);
  }
  const names = columns.map((name) => name.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InputError(`${path}:1: expected columns of different names, found ${quote(twice)} twice`);
  return names;
}

function requireRows(path: string, rows: number): void {
  if (rows > tableLimits.rows) throw new InputError(`${path}: expected at most ${tableLimits.rows} rows, found more`);
}

function rowOf(path: string, line: number, fields: readonly string[], columns: readonly string[]): TableRow {
  if (fields.length !== columns.length) {
    throw new InputError(
      `${path}:${line}: expected ${columns.length} fields as the header has, found ${fields.length}`,
    );
  }
  return { line, get: (column) => fields[columns.indexOf(column)] };
}
