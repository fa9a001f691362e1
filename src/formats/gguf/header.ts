import { InputError, quote } from '../../registry/index.js';
import { Cursor, HeaderCut } from './cursor.js';

/** What the metadata of a file say: numbers, texts and booleans; of arrays and long texts, that they are there. */
export type GgufValue = number | bigint | boolean | string | { readonly length: number };

/** A tensor as the header describes it. */
export interface GgufTensor {
  /** llama.cpp's name: `blk.0.attn_q.weight`. */
  readonly name: string;
  /** Dimensions, the slowest first, as everywhere else; the file has them the other way round. */
  readonly shape: readonly number[];
  /** Number of the type in ggml. */
  readonly type: number;
  /** Where its data begin, from the first byte of all data. */
  readonly offset: number;
}

/** A parsed header. */
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** Every tensor begins at a multiple of it. */
  readonly alignment: number;
  /** Where the data begin in the file. */
  readonly start: number;
}

/** Largest header: vocabularies of 256,000 tokens with their merges take 15 MB. */
export const MAX_HEADER_BYTES = 128 * 2 ** 20;
/** Models of today have below 100 keys and 2,000 tensors; each costs some hundred bytes here. */
const MAX_KEYS = 2 ** 16;
const MAX_TENSORS = 2 ** 16;
/** As in ggml. */
const MAX_DIMENSIONS = 4;
/** Arrays of arrays are allowed, and none has been seen. */
const MAX_DEPTH = 4;
/** Chat templates have some 10 KB. */
const MAX_TEXT_BYTES = 2 ** 20;
const MAX_ALIGNMENT = 2 ** 16;

const STRING = 8;
const ARRAY = 9;
/** Bytes of each type of metadata of fixed size, by its number. */
const FIXED: Readonly<Record<number, { bytes: number; read: (cursor: Cursor) => GgufValue }>> = {
  0: { bytes: 1, read: (cursor) => cursor.u8() },
  1: { bytes: 1, read: (cursor) => cursor.i8() },
  2: { bytes: 2, read: (cursor) => cursor.u16() },
  3: { bytes: 2, read: (cursor) => cursor.i16() },
  4: { bytes: 4, read: (cursor) => cursor.u32() },
  5: { bytes: 4, read: (cursor) => cursor.i32() },
  6: { bytes: 4, read: (cursor) => cursor.f32() },
  7: { bytes: 1, read: readBoolean },
  10: { bytes: 8, read: (cursor) => narrow(cursor.u64()) },
  11: { bytes: 8, read: (cursor) => narrow(cursor.i64()) },
  12: { bytes: 8, read: (cursor) => cursor.f64() },
};

/**
 * Parses the header of a GGUF file, versions 2 and 3, little-endian.
 *
 * @param bytes - The file's first bytes.
 * @param source - The file, for messages.
 * @returns `undefined` when the header goes on behind these bytes.
 * @throws InputError when it is malformed or above a limit.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function parseGgufHeader(bytes: Uint8Array, source: string): GgufHeader | undefined {
  try {
    return parse(new Cursor(bytes, source));
  } catch (error) {
    if (error instanceof HeaderCut) return undefined;
    throw error;
  }
}

function parse(cursor: Cursor): GgufHeader {
  if (cursor.u32() !== 0x46554747) throw cursor.fail('a file that begins with "GGUF"', 'another one');
  const version = cursor.u32();
  if (version >>> 16 !== 0 && (version & 0xffff) === 0) {
    throw cursor.fail('a little-endian GGUF file', 'a big-endian one; convert it with gguf-convert-endian');
  }
  if (version !== 2 && version !== 3) throw cursor.fail('version 2 or 3 of GGUF', `version ${version}`);
  const tensorCount = cursor.size('a number of tensors', MAX_TENSORS);
  const keyCount = cursor.size('a number of keys', MAX_KEYS);
  const metadata = new Map<string, GgufValue>();
  const keys = new Set<string>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.name('a key');
    cursor.once(keys, 'key', key);
    metadata.set(key, readValue(cursor, cursor.u32(), key, 0));
  }
  const tensors: GgufTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensor(cursor);
    cursor.once(names, 'tensor', tensor.name);
    tensors.push(tensor);
  }
  const alignment = alignmentOf(cursor, metadata.get('general.alignment'));
  return { metadata, tensors, alignment, start: Math.ceil(cursor.position / alignment) * alignment };
}

function readValue(cursor: Cursor, type: number, key: string, depth: number): GgufValue {
  const fixed = FIXED[type];
  if (fixed) return fixed.read(cursor);
  if (type === STRING) return cursor.text(MAX_TEXT_BYTES) ?? { length: 1 };
  if (type !== ARRAY) throw cursor.fail(`a known type of ${quote(key)}`, `type ${type}`);
  if (depth === MAX_DEPTH) throw cursor.fail(`at most ${MAX_DEPTH} arrays in one another at ${quote(key)}`, 'more');
  const inner = cursor.u32();
  const length = cursor.size('a length of an array');
  const width = FIXED[inner]?.bytes;
  if (width !== undefined) cursor.skip(length * width);
  // Each takes 8 bytes or more, so the file bounds the loop.
  else for (let i = 0; i < length; i++) skipVariable(cursor, inner, key, depth + 1);
  return { length };
}

function skipVariable(cursor: Cursor, type: number, key: string, depth: number): void {
  if (type === STRING) cursor.skip(cursor.size('a length of a text'));
  else readValue(cursor, type, key, depth);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readBoolean(cursor: Cursor): boolean {
  const byte = cursor.u8();
  if (byte > 1) throw cursor.fail('a boolean of 0 or 1', String(byte));
  return byte === 1;
}

function readTensor(cursor: Cursor): GgufTensor {
  const name = cursor.name('a tensor name');
  const rank = cursor.u32();
  if (rank > MAX_DIMENSIONS) throw cursor.fail(`at most ${MAX_DIMENSIONS} dimensions of ${quote(name)}`, String(rank));
  const shape = Array.from({ length: rank }, () => cursor.size(`a dimension of ${quote(name)}`)).reverse();
  const type = cursor.u32();
  return { name, shape, type, offset: cursor.size(`an offset of ${quote(name)}`) };
}

function alignmentOf(cursor: Cursor, value: GgufValue = 32): number {
  const isPower =
    typeof value === 'number' && value > 0 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value));
  if (!isPower) throw cursor.fail(`general.alignment as a power of two up to ${MAX_ALIGNMENT}`, describe(value));
  return value;
}

function describe(value: GgufValue): string {
  return typeof value === 'object' ? 'an array' : quote(String(value));
}

/**
 * A number that the metadata must hold.
 *
 * @throws InputError when there is none, or one that is no whole number above 0.
 */
export function requireCount(metadata: ReadonlyMap<string, GgufValue>, key: string, source: string): number {
  const value = metadata.get(key);
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  const found = value === undefined ? 'none' : describe(value);
  throw new InputError(`${source}: expected a whole number above 0 as ${key} in the metadata, found ${found}`);
}
