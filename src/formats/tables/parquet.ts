import { parquetMetadataAsync, parquetRead, parquetReadObjects, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { InputError, lineOf } from '../../registry/index.js';
import { type Table, tableLimits } from './table.js';

/**
 * Reads a Parquet file.
 *
 * @throws InputError when it is damaged, too large, or has no rows.
 */
export async function parseParquet(path: string, bytes: Uint8Array): Promise<Table> {
  let failed = false;
  const file = {
    byteLength: bytes.length,
    // Where the library fails over one column while others are still to be read, these would fail with nobody to hear of it,
    // which ends the process: they wait a moment, and then for ever.
    slice: (start: number, end?: number) =>
      new Promise<ArrayBuffer>((resolve) => {
        setImmediate(() => {
          if (!failed) resolve(bytes.slice(start, end).buffer as ArrayBuffer);
        });
      }),
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    const size = metadata.row_groups.reduce((sum, { total_byte_size }) => sum + Number(total_byte_size), 0);
    const count = Number(metadata.num_rows);
    if (!(count <= tableLimits.rows && columns.length <= tableLimits.columns && size <= tableLimits.bytes)) {
      throw new InputError(
        `expected at most ${tableLimits.rows} rows of ${tableLimits.columns} columns in ${tableLimits.bytes} bytes, found ${count} of ${columns.length} in ${size}`,
      );
    }
    if (count === 0) throw new InputError('expected rows, found none');
    // Reads all columns once, and waits for all: those that the next call leaves out must not fail unheard either.
    await parquetRead({ file, metadata, compressors });
    const found = await parquetReadObjects({ file, metadata, compressors });
    if (found.length !== count) throw new InputError(`expected ${count} rows, found ${found.length}`);
    const rows = found.map((row, index) => {
      const fields = new Map(Object.entries(row));
      return { line: index + 1, get: (column: string) => fields.get(column) };
    });
    return { columns, rows };
  } catch (error) {
    failed = true;
    const reason = error instanceof InputError ? error.message : `expected a Parquet file: ${lineOf(error)}`;
    throw new InputError(`${path}: ${reason}`);
  }
}
