import { InputError, quote } from '../registry/index.js';
import { DTYPE_BYTES, isStoredDType, type StoredDType, storedByteLength, type TensorHeader } from './dtypes.js';
import { FOREIGN_BYTES, foreignFile } from './foreign.js';
import { JsonScanner } from './json-scanner.js';

/** Largest header in bytes, unless told otherwise: the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** No framework builds tensors of more dimensions (NumPy and PyTorch stop at 64); it bounds what one entry costs. */
const MAX_DIMENSIONS = 64;

const METADATA = '__metadata__';

/** A tensor's entry in the header; `begin` and `end` count from the first byte after the header. */
export interface HeaderEntry extends TensorHeader {
  readonly begin: number;
  readonly end: number;
}

/** Free text about a file. */
export interface HeaderMetadata {
  /** The header's `__metadata__`; an object without prototype when it was read from a file. */
  metadata: Record<string, string>;
  /**
   * The keys of `__metadata__` in the file's order; `undefined` when the file had none, `[]` when it was empty.
   * A JavaScript object moves keys like "10" to the front, so this is what keeps a rewritten file's bytes the same.
   */
  metadataKeys?: readonly string[];
}

/**
 * The length of the header from a file's first eight bytes, checked against the file and the cap.
 *
 * @param start - The file's first {@link FOREIGN_BYTES} bytes or more, or all of a shorter file.
 * @param fileBytes - Size of the whole file.
 * @throws InputError when the file cannot hold such a header; it says what the file is instead, where that is known.
 */
export function headerLength(start: Uint8Array, fileBytes: number, source: string, maxBytes: number): number {
  const fail = (expected: string, found: string): InputError => {
    const known = foreignFile(start.subarray(0, FOREIGN_BYTES));
    return new InputError(
      known
        ? `${source}: expected a safetensors file, found ${known.what}; ${known.advice}`
        : `${source}: expected ${expected}, found ${found}`,
    );
  };
  if (fileBytes < 8) throw fail('a header length of 8 bytes', `${fileBytes} bytes`);
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxBytes)) throw fail(`a header of at most ${maxBytes} bytes`, `a header length of ${length}`);
  if (Number(length) > fileBytes - 8) {
    throw fail(`a header of at most ${fileBytes - 8} bytes in a file of ${fileBytes}`, `a header length of ${length}`);
  }
  return Number(length);
}

/**
 * Parses the JSON header of a safetensors file; entries come in the order of their data.
 *
 * Stricter than the reference: equal keys, unknown fields, `null` metadata and leading white space are refused.
 *
 * @param bytes - The header alone.
 * @param dataBytes - How many bytes follow it; the tensors must cover them without holes or overlaps.
 * @throws InputError naming the file, the tensor, what was expected and what was found.
 */
export function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  source: string,
): HeaderMetadata & { entries: HeaderEntry[] } {
  const json = new JsonScanner(bytes, source, 'tensor');
  const entries: HeaderEntry[] = [];
  const header: HeaderMetadata = { metadata: Object.create(null) };
  if (bytes.length === 0 || bytes[0] !== 123) {
    throw json.fail('a header that begins with "{"', bytes.length === 0 ? 'an empty one' : `byte ${bytes[0]}`);
  }
  json.object('a header object', (name) => {
    if (name === METADATA) {
      header.metadataKeys = readMetadata(json, header.metadata);
    } else {
      json.subject = name;
      entries.push(readEntry(json, name, dataBytes));
      json.subject = undefined;
    }
  });
  json.end();
  // Stable: among tensors without elements at the same place, the header's order holds.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, dataBytes, source);
  return { ...header, entries };
}

function readMetadata(json: JsonScanner, metadata: Record<string, string>): string[] {
  const keys: string[] = [];
  json.object(`an object of strings as ${METADATA}`, (key) => {
    keys.push(key);
    metadata[key] = json.string(`a string as the value of ${quote(key)} in ${METADATA}`);
  });
  return keys;
}

function readEntry(json: JsonScanner, name: string, dataBytes: number): HeaderEntry {
  let dtype: StoredDType | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.object('an object with "dtype", "shape" and "data_offsets"', (field) => {
    if (field === 'dtype') dtype = readDType(json);
    else if (field === 'shape') shape = readIntegers(json, 'dimension', MAX_DIMENSIONS);
    else if (field === 'data_offsets') offsets = readIntegers(json, 'data offset', 2);
    else throw json.fail('only "dtype", "shape" and "data_offsets"', quote(field));
  });
  const missing = !dtype ? 'dtype' : !shape ? 'shape' : !offsets ? 'data_offsets' : undefined;
  if (!dtype || !shape || !offsets) throw json.fail('"dtype", "shape" and "data_offsets"', `no "${missing}"`);
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined) throw json.fail('two data offsets', String(offsets.length));
  const span = `data_offsets [${begin}, ${end}]`;
  if (begin > end) throw json.fail('data_offsets that do not run backwards', span);
  if (end > dataBytes) throw json.fail(`data_offsets within the ${dataBytes} bytes of data`, span);
  const size = storedByteLength(dtype, shape);
  if (size === undefined) throw json.fail('a size of at most 2^53 - 1 bytes', `${dtype} [${shape}]`);
  if (size !== end - begin) {
    throw json.fail(`${size} bytes for ${dtype} [${shape}]`, `${end - begin} bytes in ${span}`);
  }
  return { name, dtype, shape, begin, end };
}

function readDType(json: JsonScanner): StoredDType {
  const dtype = json.string('a dtype');
  if (!isStoredDType(dtype)) throw json.fail(`a dtype of ${Object.keys(DTYPE_BYTES).join(', ')}`, quote(dtype));
  return dtype;
}

function readIntegers(json: JsonScanner, what: string, most: number): number[] {
  const integers: number[] = [];
  json.array(`an array of ${what}s`, () => {
    if (integers.length === most) throw json.fail(`at most ${most} ${what}s`, 'more');
    integers.push(json.integer(`each ${what}`));
  });
  return integers;
}

function checkCoverage(entries: readonly HeaderEntry[], dataBytes: number, source: string): void {
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== covered) {
      const kind = begin < covered ? 'an overlap' : 'a hole';
      throw new InputError(
        `${source}: tensor ${quote(name)}: expected data from byte ${covered}, where the tensor before ends, found ${kind}: data_offsets [${begin}, ${end}]`,
      );
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw new InputError(
      `${source}: expected tensors that cover all ${dataBytes} bytes of data, found ${covered} covered`,
    );
  }
}

/**
 * The eight length bytes and the header, padded with spaces to a multiple of 8 as the reference writes it.
 *
 * @param tensors - In the order of their data.
 * @param source - The file, for messages.
 * @throws InputError when a name is taken twice or no valid text, or a tensor's bytes, where they are there, do not fit its shape.
 */
export function encodeHeader(
  tensors: readonly (TensorHeader & { readonly bytes?: Uint8Array })[],
  { metadata, metadataKeys }: HeaderMetadata,
  source: string,
): Uint8Array {
  const fields: string[] = [];
  if (metadataKeys || Object.keys(metadata).length > 0)
    fields.push(`"${METADATA}":${metadataJson(metadata, metadataKeys ?? [], source)}`);
  const names = new Set<string>();
  let begin = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    const fail = (expected: string, found: string): InputError =>
      new InputError(`${source}: tensor ${quote(name)}: expected ${expected}, found ${found}`);
    if (name === METADATA) throw fail(`a tensor name other than ${METADATA}`, 'it');
    if (names.has(name)) throw fail('each name once', 'it twice');
    names.add(name);
    if (!isStoredDType(dtype)) throw fail(`a dtype of ${Object.keys(DTYPE_BYTES).join(', ')}`, String(dtype));
    if (shape.length > MAX_DIMENSIONS) throw fail(`at most ${MAX_DIMENSIONS} dimensions`, String(shape.length));
    const size = storedByteLength(dtype, shape);
    if (size === undefined || (bytes && bytes.length !== size)) {
      throw fail(`${size ?? 'at most 2^53 - 1'} bytes for ${dtype} [${shape}]`, `${bytes?.length ?? 'more'}`);
    }
    const end = begin + size;
    fields.push(`${jsonString(name, source)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`);
    begin = end;
  }
  return withLength(new TextEncoder().encode(`{${fields.join(',')}}`), source);
}

function metadataJson(metadata: Record<string, string>, keys: readonly string[], source: string): string {
  const values = new Map(Object.entries(metadata));
  const ordered = new Set([...keys.filter((key) => values.has(key)), ...values.keys()]);
  const field = (key: string) => `${jsonString(key, source)}:${jsonString(values.get(key) ?? '', source)}`;
  return `{${Array.from(ordered, field).join(',')}}`;
}

/** JSON.stringify escapes the same characters in the same way as the reference's writer, lone surrogates apart. */
function jsonString(text: string, source: string): string {
  if (/\p{Surrogate}/u.test(text))
    throw new InputError(`${source}: expected text of whole characters, found ${quote(text)}`);
  return JSON.stringify(text);
}

function withLength(json: Uint8Array, source: string): Uint8Array {
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new InputError(`${source}: expected a header of at most ${MAX_HEADER_BYTES} bytes, found ${padded}`);
  }
  const bytes = new Uint8Array(8 + padded).fill(32, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}
