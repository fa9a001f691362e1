import type { FileHandle } from 'node:fs/promises';
import { InputError, quote } from '../../registry/index.js';
import { allocate, readInto } from '../known-file.js';

/** A record of an archive, stored as it is. */
export interface ZipRecord {
  /** Where its bytes begin in the file. */
  readonly begin: number;
  /** How many there are. */
  readonly length: number;
}

/** The directory stands at the end, behind it at most a comment of 65,535 bytes. */
const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const MAX_TAIL_BYTES = END_BYTES + LOCATOR_BYTES + 65_535;
/** A model of 100,000 tensors needs 10 MB. */
const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;
const SIGNATURES = { local: 0x04034b50, entry: 0x02014b50, end: 0x06054b50, locator: 0x07064b50, end64: 0x06064b50 };
/** In the place of a number that is too large for its field; an extra field has it. */
const ELSEWHERE = 0xffffffff;

/**
 * Finds the records of a zip archive as `torch.save` writes it: nothing compressed, so that no record is larger than the file, and
 * no two share bytes.
 *
 * @returns Records by name; nothing is written anywhere, so that a name is a key and never a path.
 * @throws InputError when it is malformed, or anything but that.
 */
export async function readZip(handle: FileHandle, size: number, path: string): Promise<ReadonlyMap<string, ZipRecord>> {
  const { begin, length, count } = await findDirectory(handle, size, path);
  const directory = await read(handle, begin, length, path);
  const view = viewOf(directory);
  const found: { name: string; local: number; length: number }[] = [];
  const names = new Set<string>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > length || view.getUint32(at, true) !== SIGNATURES.entry) throw broken(path, 'a directory of records');
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > length) throw broken(path, 'a directory of records');
    const name = new TextDecoder().decode(directory.subarray(at + 46, nameEnd));
    const extra = viewOf(directory.subarray(nameEnd, extraEnd));
    const field = wideFields(extra, path);
    const unpacked = field(view.getUint32(at + 24, true));
    const packed = field(view.getUint32(at + 20, true));
    const local = field(view.getUint32(at + 42, true));
    if (method !== 0 || (flags & 1) !== 0 || packed !== unpacked) {
      const what = (flags & 1) !== 0 ? 'an encrypted' : 'a compressed';
      throw new InputError(`${path}: expected records as torch.save stores them, found ${what} one, ${quote(name)}`);
    }
    if (names.has(name)) throw new InputError(`${path}: expected each record once, found ${quote(name)} twice`);
    names.add(name);
    found.push({ name, local, length: unpacked });
    at = next;
  }
  return locate(handle, found, begin, path);
}

/** Where the directory lies, and of how many records it is. */
interface Directory {
  readonly count: number;
  readonly length: number;
  readonly begin: number;
}

async function findDirectory(handle: FileHandle, size: number, path: string): Promise<Directory> {
  const tail = await read(handle, Math.max(0, size - MAX_TAIL_BYTES), Math.min(size, MAX_TAIL_BYTES), path);
  const view = viewOf(tail);
  const start = size - tail.length;
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== SIGNATURES.end) continue;
    // A comment that holds the signature is none: it must reach to the file's end.
    if (at + END_BYTES + view.getUint16(at + 20, true) !== tail.length) continue;
    const narrow = {
      count: view.getUint16(at + 10, true),
      length: view.getUint32(at + 12, true),
      begin: view.getUint32(at + 16, true),
    };
    const isWide = narrow.count === 0xffff || narrow.length === ELSEWHERE || narrow.begin === ELSEWHERE;
    const found = isWide ? await findWide(handle, view, { at: at - LOCATOR_BYTES, start }, path) : narrow;
    const { begin, length } = found;
    if (begin + length > start + at) throw broken(path, 'a directory within the file');
    if (length > MAX_DIRECTORY_BYTES) {
      throw new InputError(`${path}: expected a directory of at most ${MAX_DIRECTORY_BYTES} bytes, found ${length}`);
    }
    return found;
  }
  throw broken(path, 'a zip archive with its directory at the end');
}

/** The end of a directory with 64-bit numbers, which a locator names. */
async function findWide(
  handle: FileHandle,
  tail: DataView,
  { at, start }: { at: number; start: number },
  path: string,
): Promise<Directory> {
  if (at < 0 || tail.getUint32(at, true) !== SIGNATURES.locator) throw broken(path, 'a directory of records');
  const place = safe(tail.getBigUint64(at + 8, true), path);
  if (place + 56 > start + at) throw broken(path, 'a directory of records');
  const end = viewOf(await read(handle, place, 56, path));
  if (end.getUint32(0, true) !== SIGNATURES.end64) throw broken(path, 'a directory of records');
  const field = (offset: number) => safe(end.getBigUint64(offset, true), path);
  return { count: field(32), length: field(40), begin: field(48) };
}

/** Reads numbers that the directory has no room for from the extra field of 64-bit ones, in their order. */
function wideFields(extra: DataView, path: string): (narrow: number) => number {
  let next = extra.byteLength;
  let end = next;
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue;
    next = at + 4;
    end = Math.min(extra.byteLength, next + extra.getUint16(at + 2, true));
    break;
  }
  return (narrow) => {
    if (narrow !== ELSEWHERE) return narrow;
    if (next + 8 > end) throw broken(path, 'a directory of records');
    next += 8;
    return safe(extra.getBigUint64(next - 8, true), path);
  };
}

/** Where the records' bytes lie: behind the header that each has of its own, one record after another. */
async function locate(
  handle: FileHandle,
  found: readonly { name: string; local: number; length: number }[],
  directory: number,
  path: string,
): Promise<ReadonlyMap<string, ZipRecord>> {
  const records = new Map<string, ZipRecord>();
  let free = 0;
  for (const { name, local, length } of [...found].sort((a, b) => a.local - b.local)) {
    if (local < free || local + 30 > directory) throw broken(path, 'records that share no bytes');
    const header = viewOf(await read(handle, local, 30, path));
    if (header.getUint32(0, true) !== SIGNATURES.local) throw broken(path, `a record where ${quote(name)} begins`);
    const begin = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    free = begin + length;
    if (free > directory) throw broken(path, 'records within the file');
    records.set(name, { begin, length });
  }
  return records;
}

async function read(handle: FileHandle, begin: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = allocate(length, path);
  await readInto(handle, begin, bytes, path);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function safe(value: bigint, path: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken(path, 'a directory of records');
  return Number(value);
}

function broken(path: string, expected: string): InputError {
  return new InputError(`${path}: expected ${expected}, found a damaged archive; it was perhaps not copied to its end`);
}
