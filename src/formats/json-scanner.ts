import { InputError, quote } from '../registry/index.js';

const MAX_DEPTH = 32;

/**
 * Models of a trillion parameters have some 100,000 tensors. Each costs about 2 KB to parse: without this cap, a header
 * within the reference's limit of 100 MB could ask for 4 GB.
 */
const MAX_KEYS = 2 ** 18;

const codes = { quote: 34, comma: 44, minus: 45, colon: 58, open: 91, backslash: 92, close: 93, brace: 123, end: 125 };

/**
 * Reads JSON of a known structure from untrusted bytes, in one pass and without building a tree.
 *
 * `JSON.parse` does not fit here: it keeps the last of two equal keys, rounds large integers, sets `__proto__`, and
 * turns 100 MB of brackets into gigabytes. Memory here is that of the keys and of what the caller keeps.
 */
export class JsonScanner {
  private position = 0;
  // A byte order mark inside a string is part of it.
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** What the caller is reading, such as a tensor's name: named in errors. */
  subject: string | undefined;

  /**
   * @param bytes - UTF-8 JSON.
   * @param source - The file, for messages.
   * @param kind - What `subject` names, for messages: "tensor".
   */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly source: string,
    private readonly kind: string,
  ) {}

  /** An error at the current position: `file: tensor "name": expected ..., found ... (byte n of the JSON)`. */
  fail(expected: string, found: string = this.nextToken()): InputError {
    const subject = this.subject === undefined ? '' : `${this.kind} ${quote(this.subject)}: `;
    return new InputError(
      `${this.source}: ${subject}expected ${expected}, found ${found} (byte ${this.position} of the JSON)`,
    );
  }

  /** Reads an object, calling `visit` with each key; `visit` must read the value. Equal keys and more than 262,144 are refused. */
  object(what: string, visit: (key: string) => void): void {
    if (!this.take(codes.brace)) throw this.fail(what);
    if (this.take(codes.end)) return;
    const seen = new Set<string>();
    do {
      const key = this.string('a key in double quotes');
      if (seen.has(key)) throw this.fail('each key once', `${quote(key)} twice`);
      seen.add(key);
      if (seen.size > MAX_KEYS) throw this.fail(`at most ${MAX_KEYS} keys in one object`, 'more');
      if (!this.take(codes.colon)) throw this.fail('":" after a key');
      visit(key);
    } while (this.take(codes.comma));
    if (!this.take(codes.end)) throw this.fail('"," or "}"');
  }

  /** Reads an array, calling `visit` for each element; `visit` must read it. */
  array(what: string, visit: () => void): void {
    if (!this.take(codes.open)) throw this.fail(what);
    if (this.take(codes.close)) return;
    do visit();
    while (this.take(codes.comma));
    if (!this.take(codes.close)) throw this.fail('"," or "]"');
  }

  /** Reads a string; malformed UTF-8 and lone surrogates are refused. */
  string(what: string): string {
    const { bytes } = this;
    if (this.peek() !== codes.quote) throw this.fail(what);
    const begin = this.position;
    let end = begin + 1;
    let escaped = false;
    for (let byte = bytes[end]; byte !== undefined && byte !== codes.quote; byte = bytes[++end]) {
      if (byte < 32) throw this.fail(`${what} without raw control characters`, `byte ${byte}`);
      if (byte === codes.backslash) {
        escaped = true;
        end++;
      }
    }
    if (end >= bytes.length) throw this.fail(`${what} that ends`, 'the end of the JSON');
    try {
      const text = escaped
        ? String(JSON.parse(this.decoder.decode(bytes.subarray(begin, end + 1))))
        : this.decoder.decode(bytes.subarray(begin + 1, end));
      if (escaped && /\p{Surrogate}/u.test(text)) throw new TypeError('a lone surrogate');
      this.position = end + 1;
      return text;
    } catch {
      throw this.fail(`${what} of valid UTF-8 and JSON escapes`);
    }
  }

  /** Reads a whole number from 0 to 2^53 - 1 in plain digits. */
  integer(what: string): number {
    const { bytes } = this;
    const first = this.peek();
    let at = this.position;
    let value = 0;
    let byte = bytes[at];
    while (byte !== undefined && isDigit(byte) && value <= Number.MAX_SAFE_INTEGER) {
      value = value * 10 + byte - 48;
      byte = bytes[++at];
    }
    const length = at - this.position;
    const plain = length > 0 && !(first === 48 && length > 1) && !(byte !== undefined && continuesToken(byte));
    if (!plain || value > Number.MAX_SAFE_INTEGER) {
      throw this.fail(`${what} as a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    this.position = at;
    return value;
  }

  /** Passes over one value of any kind, at most 32 levels deep. */
  skip(depth = 0): void {
    if (depth > MAX_DEPTH) throw this.fail(`at most ${MAX_DEPTH} levels of nesting`);
    const first = this.peek();
    if (first === codes.brace) this.object('an object', () => this.skip(depth + 1));
    else if (first === codes.open) this.array('an array', () => this.skip(depth + 1));
    else if (first === codes.quote) this.string('a string');
    else {
      const { bytes } = this;
      const begin = this.position;
      const window = bytes.subarray(begin, begin + 64);
      const length = window.findIndex((byte) => !continuesToken(byte));
      const end = begin + (length < 0 ? window.length : length);
      const token = String.fromCharCode(...bytes.subarray(begin, end));
      if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(token)) throw this.fail('a JSON value');
      this.position = end;
    }
  }

  /** Checks that only white space is left. */
  end(): void {
    if (this.peek() !== undefined) throw this.fail('nothing after the JSON but white space');
  }

  /** The next byte that is not white space; `undefined` at the end. */
  private peek(): number | undefined {
    let byte = this.bytes[this.position];
    while (byte !== undefined && isSpace(byte)) byte = this.bytes[++this.position];
    return byte;
  }

  private take(code: number): boolean {
    if (this.peek() !== code) return false;
    this.position++;
    return true;
  }

  private nextToken(): string {
    const first = this.peek();
    if (first === undefined) return 'the end of the JSON';
    const window = this.bytes.subarray(this.position, this.position + 24);
    const length = window.findIndex((byte) => !continuesToken(byte));
    if (length !== 0) return String.fromCharCode(...window.subarray(0, length < 0 ? window.length : length));
    if (first < 32 || first > 126) return `byte ${first}`;
    const text = new TextDecoder().decode(window);
    return quote(first === codes.quote ? text.slice(1).replace(/".*/s, '') : text.charAt(0));
  }
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

/** Letters, digits, `+`, `-` and `.`: what numbers and the words true, false, null are made of. */
function continuesToken(byte: number): boolean {
  const letter = byte | 32;
  return isDigit(byte) || (letter >= 97 && letter <= 122) || byte === 43 || byte === codes.minus || byte === 46;
}
