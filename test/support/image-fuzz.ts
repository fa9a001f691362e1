import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeImage, readCifar, readIdx } from '../../src/formats/index.js';
import { InputError } from '../../src/registry/index.js';
import { readFixture } from './fixtures.js';
import { cifarFile, cyclicLabels, idxFile, pixelsOf } from './image-data.js';
import { type Random, seededRandom } from './safetensors-mutations.js';

/** Damages a file a little. */
export type Edit = (file: Buffer, random: Random) => Buffer;

/** One format under test: undamaged files, and what reads a file in full (from disk where `path` is used). */
export interface Format {
  readonly originals: readonly Uint8Array[];
  /** What damages them; default {@link byteEdits}. */
  readonly edits?: readonly Edit[];
  /** Bytes of what was read; throws InputError for anything malformed. */
  read(bytes: Uint8Array, path: string): Promise<number>;
}

const idx = [idxFile([3, 4, 5], pixelsOf(3, 20)), idxFile([40], Uint8Array.from(cyclicLabels(40)))];
const cifar = cifarFile(cyclicLabels(2), pixelsOf(2, 3072));
const { decode } = readFixture<{ decode: { file: string }[] }>('images.json');

/** The formats, by name. */
export const imageFormats: Readonly<Record<string, Format>> = {
  IDX: {
    originals: [...idx, ...idx.map((bytes) => gzipSync(bytes))],
    read: async (bytes, path) => {
      writeFileSync(path, bytes);
      const { shape, data } = await readIdx(path, { maxBytes: 2 ** 24 });
      if (data.length !== shape.reduce((product, length) => product * length, 1)) throw new Error('not in full');
      return data.length;
    },
  },
  'CIFAR-10': {
    originals: [cifar, gzipSync(cifar)],
    read: async (bytes, path) => {
      writeFileSync(path, bytes);
      const { labels, pixels } = await readCifar(path, { maxBytes: 2 ** 24 });
      if (pixels.length !== 3072 * labels.length || labels.some((label) => label > 9)) throw new Error('not in full');
      return pixels.length;
    },
  },
  'PNG and JPEG': {
    originals: decode.map(({ file }) => Buffer.from(file, 'base64')),
    read: async (bytes) => {
      const { pixels, channels, height, width } = await decodeImage(bytes, 'f', { maxPixels: 2 ** 20 });
      if (pixels.length !== channels * height * width || height * width > 2 ** 20) throw new Error('not in full');
      return pixels.length;
    },
  },
};

/** A whole number below n. */
export const below = (n: number, random: Random) => Math.floor(random() * n);
const INTERESTING = [0, 1, 2, 3, 8, 10, 13, 127, 128, 254, 255];

/** Edits that know nothing of a format. */
export const byteEdits: readonly Edit[] = [
  (file, random) => set(file, below(file.length, random), below(256, random)),
  // Headers stand at the front.
  (file, random) => set(file, below(Math.min(file.length, 40), random), INTERESTING[below(INTERESTING.length, random)]),
  (file, random) => set(file, below(file.length, random), file[0] ^ (1 << below(8, random))),
  (file, random) => file.subarray(0, below(file.length + 1, random)),
  (file, random) => Buffer.concat([file, Buffer.alloc(1 + below(4000, random), below(256, random))]),
  (file, random) => {
    const [from, to] = [below(file.length, random), below(file.length, random)];
    return Buffer.concat([file.subarray(0, from), file.subarray(to)]);
  },
];

function set(file: Buffer, at: number, value: number): Buffer {
  if (file.length > 0) file[at] = value;
  return file;
}

/** What became of the files of a fuzz run. */
export interface ImageFuzzResult {
  accepted: number;
  refused: number;
  /** Different messages, numbers and names apart. */
  kinds: Set<string>;
}

/** Reads damaged files and throws at the first that does anything but succeed in full or fail with a one-line InputError. */
export async function fuzzImages(
  { originals, read, edits = byteEdits }: Format,
  seed: number,
  count: number,
): Promise<ImageFuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), 'weightlock-fuzz-'));
  const path = join(folder, 'f');
  const result: ImageFuzzResult = { accepted: 0, refused: 0, kinds: new Set() };
  try {
    for (let index = 0; index < count; index++) {
      const random = seededRandom(seed + index * 7919);
      let bytes: Buffer = Buffer.from(originals[below(originals.length, random)]);
      for (let left = 1 + below(3, random); left > 0; left--) bytes = edits[below(edits.length, random)](bytes, random);
      const outcome = await read(bytes, path).catch((error: unknown) => messageOf(error, index));
      if (typeof outcome === 'number') result.accepted++;
      else {
        result.refused++;
        result.kinds.add(outcome.replaceAll(path, 'f').replace(/0x[0-9a-f]+|\d+/g, ''));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return result;
}

function messageOf(error: unknown, index: number): string {
  if (!(error instanceof InputError)) throw new Error(`file ${index}: threw ${String(error)}`, { cause: error });
  const { message } = error;
  if (message.length > 1000 || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(message)) {
    throw new Error(`file ${index}: the message is no short line: ${JSON.stringify(message.slice(0, 500))}`);
  }
  return message;
}
