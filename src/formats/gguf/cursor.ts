import { InputError, quote } from '../../registry/index.js';

/** The header goes on behind the bytes that are there. */
export class HeaderCut extends Error {}

/** Longest key or name: what the format's own specification allows for a key. */
const MAX_NAME_BYTES = 65_535;

/** Reads little-endian values of a header from untrusted bytes that may end too early. */
export class Cursor {
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #source: string;

  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#source = source;
  }

  /** An error at this place. */
  fail(expected: string, found: string): InputError {
    return new InputError(`${this.#source}: expected ${expected}, found ${found} (byte ${this.position})`);
  }

  /** Passes over so many bytes; where they begin. */
  skip(length: number): number {
    const begin = this.position;
    if (begin + length > this.#bytes.length) throw new HeaderCut();
    this.position += length;
    return begin;
  }

  u8 = () => this.#view.getUint8(this.skip(1));
  i8 = () => this.#view.getInt8(this.skip(1));
  u16 = () => this.#view.getUint16(this.skip(2), true);
  i16 = () => this.#view.getInt16(this.skip(2), true);
  u32 = () => this.#view.getUint32(this.skip(4), true);
  i32 = () => this.#view.getInt32(this.skip(4), true);
  f32 = () => this.#view.getFloat32(this.skip(4), true);
  f64 = () => this.#view.getFloat64(this.skip(8), true);
  u64 = () => this.#view.getBigUint64(this.skip(8), true);
  i64 = () => this.#view.getBigInt64(this.skip(8), true);

  /** A count, length or offset of 64 bits, of at most `most`. */
  size(what: string, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.u64();
    if (value > BigInt(most)) throw this.fail(`${what} of at most ${most}`, String(value));
    return Number(value);
  }

  /** A key or name: UTF-8 of at most 65,535 bytes. */
  name(what: string): string {
    const length = this.size(`a length of ${what}`, MAX_NAME_BYTES);
    const begin = this.skip(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(begin, begin + length),
      );
    } catch {
      throw this.fail(`${what} of valid UTF-8`, 'other bytes');
    }
  }

  /** A text of at most so many bytes, what is no UTF-8 in it replaced; `undefined` for a longer one. */
  text(maxBytes: number): string | undefined {
    const length = this.size('a length of a text');
    const begin = this.skip(length);
    return length > maxBytes ? undefined : new TextDecoder().decode(this.#bytes.subarray(begin, begin + length));
  }

  /** @throws InputError when a name came before. */
  once(seen: Set<string>, what: string, name: string): void {
    if (seen.has(name)) throw this.fail(`each ${what} once`, `${quote(name)} twice`);
    seen.add(name);
  }
}
