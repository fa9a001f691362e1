/** A number in [0, 1) on each call; the same seed gives the same numbers. */
export type Random = () => number;

/** Seeded random numbers (mulberry32): good enough to pick mutations, and it needs nothing from the code under test. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NUMBERS = (
  '-1 -0 0 1 2 3 4 7 8 255 256 2147483647 2147483648 4294967295 4294967296 9007199254740991 9007199254740992 ' +
  '9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 1e3 1.0 0.5 1e309 -1e309 00 01 0x1 ' +
  '+1 NaN Infinity null true "1" [] [1] {} 1e 1. .1 99999999999999999999999999999999999999999999'
).split(' ');
const STRINGS = [
  ...['F64', 'F32', 'F16', 'BF16', 'I64', 'U8', 'BOOL', 'F8_E4M3', 'C64', 'f32', 'F31', '', '__proto__', 'constructor'],
  ...[
    'toString',
    '__metadata__',
    'dtype',
    'shape',
    'data_offsets',
    'a',
    '\\u0000',
    '\\ud800',
    '\\ud83d\\ude00',
    '\\u00',
  ],
  ...['\\', '\\x', '\n', '\xff\xfe', '\xed\xa0\x80', '\xef\xbb\xbf', '\xf0\x9f\x94\x92', 'x'.repeat(5000), '\\"'],
];
const PIECES = [
  ...['{', '}', '[', ']', ',', ':', '"', ' ', '\0', '{}', '[]', '""', 'null', '//', '\\', '\t', '\r\n', '-', '.', 'e'],
  ...[
    '"x":1,',
    '"__metadata__":{"a":"b"},',
    '"__metadata__":null,',
    '['.repeat(2000),
    '{"a":'.repeat(500),
    ' '.repeat(5000),
  ],
  ...[
    '"shape":[0],',
    '"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},',
    '"z":{"dtype":"U8","shape":[],"data_offsets":[0,1]},',
  ],
];
const LENGTHS = [
  0n,
  1n,
  2n,
  7n,
  8n,
  100_000_000n,
  100_000_001n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A safetensors file in parts; the header is text with one character a byte, so that any bytes can stand in it. */
interface Parts {
  header: string;
  data: Buffer;
}

/** Edits of the header's text that know its structure; the length in front is put right afterwards. */
const headerEdits: ((parts: Parts, random: Random) => Parts)[] = [
  (parts, random) => replaceMatch(parts, /-?\d+/g, pick(NUMBERS, random), random),
  (parts, random) => replaceMatch(parts, /"(?:[^"\\]|\\.)*"/gs, `"${pick(STRINGS, random)}"`, random),
  (parts, random) => nudgeNumber(parts, random),
  (parts, random) => insert(parts, pick(PIECES, random), random),
  (parts, random) => insert(parts, String.fromCharCode(below(256, random)), random),
  (parts, random) => replaceMatch(parts, /[{}[\],:"]/g, pick(PIECES, random), random),
  (parts, random) => replaceMatch(parts, /"[^"]*":\{[^{}]*\},?/g, '', random),
  (parts, random) => swapMatches(parts, /\{"dtype"[^{}]*\}/g, random),
  (parts, random) => swapMatches(parts, /\[\d+,\d+\]/g, random),
  (parts, random) => swapMatches(parts, /"[^"]*":/g, random),
  (parts, random) => swapMatches(parts, /\d+/g, random),
  (parts, random) => repeatMatch(parts, /"[^"]*":\{[^{}]*\},/g, random),
  (parts, random) => repeatMatch(parts, /"[^"]*":[^{},]*,/g, random),
  ({ header, data }, random) => ({ header: header.slice(0, below(header.length + 1, random)), data }),
  ({ header, data }, random) => ({ header: header + pick(PIECES, random), data }),
  ({ header, data }, random) => ({ header: pick(PIECES, random) + header, data }),
  ({ header, data }, random) => ({ header, data: data.subarray(0, below(data.length + 1, random)) }),
  ({ header, data }, random) => ({ header, data: Buffer.concat([data, Buffer.alloc(1 + below(64, random), 7)]) }),
];

/** Edits of the file's bytes that know nothing but where the length is. */
const byteEdits: ((file: Buffer, random: Random) => Buffer)[] = [
  (file, random) => flipBits(file, 8 + Number(lengthOf(file)), random),
  (file, random) => flipBits(file, file.length, random),
  (file, random) => file.subarray(0, below(file.length + 1, random)),
  (file, random) => Buffer.concat([file, Buffer.alloc(1 + below(100, random), below(256, random))]),
  (file, random) => withLength(file, pick(LENGTHS, random)),
  (file, random) => withLength(file, lengthOf(file) + BigInt(below(33, random) - 16)),
  (file, random) => withLength(file, BigInt(file.length + below(17, random) - 16)),
  (file, random) => file.subarray(below(file.length + 1, random)),
];

/**
 * A damaged copy of a safetensors file: one to four edits, of the header's structure or of raw bytes.
 *
 * @param file - A valid file of at least 8 bytes.
 */
export function mutateSafetensors(file: Uint8Array, random: Random): Uint8Array {
  let mutated: Buffer = Buffer.from(file);
  if (random() < 0.75) {
    const start = 8 + Number(lengthOf(mutated));
    let parts: Parts = { header: mutated.toString('latin1', 8, start), data: mutated.subarray(start) };
    for (let edits = 1 + below(3, random); edits > 0; edits--) parts = pick(headerEdits, random)(parts, random);
    const header = Buffer.from(parts.header, 'latin1');
    mutated = withLength(Buffer.concat([Buffer.alloc(8), header, parts.data]), BigInt(header.length));
    if (random() < 0.9) return mutated;
  }
  return pick(byteEdits, random)(mutated, random);
}

/** Malformed and extreme headers of about this many bytes: what a parser that is careless with memory or time dies of. */
export function largeHostileFiles(bytes: number): [string, Uint8Array][] {
  const fill = (piece: string) => piece.repeat(Math.ceil(bytes / piece.length));
  const many = (item: (i: number) => string, length: number) =>
    Array.from({ length: Math.floor(bytes / length) }, (_, i) => item(i)).join(',');
  const empty = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
  const headers: Record<string, string> = {
    'tensors without elements': `{${many((i) => `"${i}":${empty}`, 55)}}`,
    'tensors of 64 dimensions': `{${many((i) => `"${i}":${empty.replace('[0]', `[${'0,'.repeat(63)}0]`)}`, 180)}}`,
    'the last tensor twice': `{${many((i) => `"${i}":${empty}`, 55)},"0":${empty}}`,
    'metadata keys': `{"__metadata__":{${many((i) => `"${i}":""`, 12)}}}`,
    'one long name': `{"${fill('x')}":${empty}}`,
    'one long name of escapes': `{"${fill('\\u0041')}":${empty}}`,
    'one long name without end': `{"${fill('x')}`,
    'one long name of backslashes': `{"${fill('\\')}`,
    'one long name of broken UTF-8': `{"${fill('\xff')}":${empty}}`,
    'one long name that breaks at its end': `{"${fill('x')}\xff":${empty}}`,
    'one long dtype': `{"a":{"dtype":"${fill('F')}"}}`,
    'one long number': `{"a":{"shape":[${fill('9')}]}}`,
    'one long number of zeros': `{"a":{"shape":[${fill('0')}]}}`,
    'one shape of ones': `{"a":{"shape":[${fill('1,')}1]}}`,
    'open brackets': `{"a":${fill('[')}`,
    'open braces': fill('{"a":'),
    'open brackets in a shape': `{"a":{"dtype":"F32","shape":${fill('[')}`,
    'white space': `{${fill(' ')}}`,
    commas: `{${fill(',')}}`,
    'nothing but zero bytes': fill('\0'),
  };
  return Object.entries(headers).map(([name, header]) => {
    const text = Buffer.from(header, 'latin1');
    return [name, withLength(Buffer.concat([Buffer.alloc(8), text]), BigInt(text.length))];
  });
}

function lengthOf(file: Buffer): bigint {
  return file.length < 8 ? 0n : file.readBigUInt64LE();
}

function withLength(file: Buffer, length: bigint): Buffer {
  const copy = Buffer.from(file);
  if (copy.length >= 8) copy.writeBigUInt64LE(BigInt.asUintN(64, length));
  return copy;
}

function flipBits(file: Buffer, end: number, random: Random): Buffer {
  const copy = Buffer.from(file);
  const limit = Math.min(end, copy.length);
  for (let flips = 1 + below(8, random); flips > 0 && limit > 0; flips--)
    copy[below(limit, random)] ^= 1 << below(8, random);
  return copy;
}

function insert({ header, data }: Parts, piece: string, random: Random): Parts {
  const at = below(header.length + 1, random);
  return { header: header.slice(0, at) + piece + header.slice(at), data };
}

function matches(header: string, pattern: RegExp): { begin: number; end: number }[] {
  return Array.from(header.matchAll(pattern), (match) => ({ begin: match.index, end: match.index + match[0].length }));
}

function replaceMatch({ header, data }: Parts, pattern: RegExp, piece: string, random: Random): Parts {
  const found = matches(header, pattern);
  if (found.length === 0) return { header, data };
  const { begin, end } = pick(found, random);
  return { header: header.slice(0, begin) + piece + header.slice(end), data };
}

function nudgeNumber({ header, data }: Parts, random: Random): Parts {
  const found = matches(header, /\d+/g);
  if (found.length === 0) return { header, data };
  const { begin, end } = pick(found, random);
  const number = BigInt(header.slice(begin, end)) + BigInt(pick([-8, -4, -1, 1, 4, 8], random));
  return { header: header.slice(0, begin) + number + header.slice(end), data };
}

function repeatMatch({ header, data }: Parts, pattern: RegExp, random: Random): Parts {
  const found = matches(header, pattern);
  if (found.length === 0) return { header, data };
  const { begin, end } = pick(found, random);
  return { header: header.slice(0, end) + header.slice(begin), data };
}

function swapMatches({ header, data }: Parts, pattern: RegExp, random: Random): Parts {
  const found = matches(header, pattern);
  if (found.length < 2) return { header, data };
  const at = below(found.length - 1, random);
  const first = found[at];
  const second = found[at + 1 + below(found.length - at - 1, random)];
  const text = (place: { begin: number; end: number }) => header.slice(place.begin, place.end);
  return {
    header:
      header.slice(0, first.begin) +
      text(second) +
      header.slice(first.end, second.begin) +
      text(first) +
      header.slice(second.end),
    data,
  };
}

function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[below(items.length, random)];
}
