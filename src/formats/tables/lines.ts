import { isUtf8 } from 'node:buffer';
import { InputError } from '../../registry/index.js';
import { tableLimits } from './table.js';

const LINE_FEED = 10;
const RETURN = 13;

/**
 * Checks that bytes are a text.
 *
 * @returns The bytes, without a byte order mark.
 * @throws InputError for what is no UTF-8 or holds NUL bytes, with the line.
 */
export function requireText(path: string, bytes: Uint8Array): Uint8Array {
  const lineAt = (offset: number) => bytes.subarray(0, offset).reduce((n, byte) => n + Number(byte === LINE_FEED), 1);
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw new InputError(`${path}:${lineAt(nul)}: expected text, found a NUL byte`);
  if (!isUtf8(bytes)) {
    for (const { start, end } of spans(bytes)) {
      if (isUtf8(bytes.subarray(start, end))) continue;
      throw new InputError(`${path}:${lineAt(start)}: expected text in UTF-8, found other bytes`);
    }
  }
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return hasMark ? bytes.subarray(3) : bytes;
}

/**
 * The lines of a text, cut at line feeds alone (a JSON text may hold U+2028), without a carriage return at their ends.
 *
 * @throws InputError for a line that is too long, or too many.
 */
export function* linesOf(path: string, bytes: Uint8Array): Generator<{ line: number; text: string }> {
  let line = 0;
  for (const { start, end } of spans(bytes)) {
    line++;
    if (end - start > tableLimits.rowBytes) {
      throw new InputError(
        `${path}:${line}: expected a line of at most ${tableLimits.rowBytes} bytes, found ${end - start}`,
      );
    }
    const cut = bytes[end - 1] === RETURN && end > start ? end - 1 : end;
    yield { line, text: Buffer.from(bytes.buffer, bytes.byteOffset + start, cut - start).toString('utf8') };
  }
}

/** Where lines begin and end; what follows the last line feed counts where it is not empty. */
function* spans(bytes: Uint8Array): Generator<{ start: number; end: number }> {
  let start = 0;
  while (start < bytes.length) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    yield { start, end };
    start = end + 1;
  }
}
