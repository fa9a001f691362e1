import { InputError, lineOf, quote } from '../../registry/index.js';
import { linesOf } from './lines.js';
import { type Table, type TableRow, tableLimits } from './table.js';

/**
 * Reads a JSON object a line. Blank lines are no rows.
 *
 * @throws InputError for a line that is something else, with its number, or an empty file.
 */
export function parseJsonl(path: string, bytes: Uint8Array): Table {
  const columns = new Set<string>();
  const rows: TableRow[] = [];
  for (const { line, text } of linesOf(path, bytes)) {
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new InputError(`${path}:${line}: expected a JSON object a line, ${lineOf(error)}`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InputError(`${path}:${line}: expected a JSON object a line, found ${quote(text.slice(0, 40))}`);
    }
    const fields = new Map(Object.entries(value));
    for (const name of fields.keys()) columns.add(name);
    if (columns.size > tableLimits.columns || rows.length >= tableLimits.rows) {
      throw new InputError(
        `${path}:${line}: expected at most ${tableLimits.rows} rows of ${tableLimits.columns} keys, found more`,
      );
    }
    rows.push({ line, get: (column) => fields.get(column) });
  }
  if (rows.length === 0) throw new InputError(`${path}: expected a JSON object a line, found an empty file`);
  return { columns: [...columns], rows };
}
