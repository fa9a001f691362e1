import { InputError, quote } from '../registry/index.js';
import { readFileCapped } from './files.js';
import { readMaybeGzip } from './gzip.js';

/** Rows and columns of a CIFAR image. */
export const CIFAR_SIZE = 32;

const IMAGE_BYTES = 3 * CIFAR_SIZE * CIFAR_SIZE;
/** Largest batch file that is read, decompressed: 87,000 records; the published files have 10,000. */
const MAX_BYTES = 2 ** 28;
const MAX_NAMES_BYTES = 2 ** 16;

/** What the records of a batch file are like. */
export interface CifarRecords {
  /** Number of classes; default 10. */
  readonly classes?: number;
  /** Label bytes of a record, of which the last counts: CIFAR-100 has two, the coarse class and the fine one. Default 1. */
  readonly labelBytes?: 1 | 2;
}

/** The records of a CIFAR batch file. */
export interface CifarBatch {
  /** Class of each image, `[size]`. */
  readonly labels: Uint8Array;
  /** `[size, 3, 32, 32]`. */
  readonly pixels: Uint8Array;
}

/**
 * Parses a CIFAR batch in its binary version: records of one label byte (or two) and 3,072 pixel bytes, red, green, blue.
 *
 * @param bytes - The whole file, decompressed.
 * @param source - Its name, for messages.
 * @throws InputError when there is no record, a part of one, or a label that is no class.
 */
export function parseCifar(
  bytes: Uint8Array,
  source: string,
  { classes = 10, labelBytes = 1 }: CifarRecords = {},
): CifarBatch {
  const recordBytes = labelBytes + IMAGE_BYTES;
  const size = bytes.length / recordBytes;
  if (!Number.isInteger(size) || size === 0) {
    throw new InputError(`${source}: expected CIFAR records of ${recordBytes} bytes, found ${bytes.length} bytes`);
  }
  const labels = new Uint8Array(size);
  const pixels = new Uint8Array(size * IMAGE_BYTES);
  for (let record = 0; record < size; record++) {
    const start = record * recordBytes + labelBytes;
    const label = bytes[start - 1];
    if (label === undefined || label >= classes) {
      throw new InputError(`${source}: expected labels from 0 to ${classes - 1}, found ${label} in record ${record}`);
    }
    labels[record] = label;
    pixels.set(bytes.subarray(start, start + IMAGE_BYTES), record * IMAGE_BYTES);
  }
  return { labels, pixels };
}

/**
 * Reads a CIFAR batch file, decompressed when it is gzip.
 *
 * @param options - What its records are like; `maxBytes`: largest file, decompressed, default 256 MiB.
 * @throws InputError when the file is missing, too large or malformed.
 */
export async function readCifar(
  path: string,
  { maxBytes = MAX_BYTES, ...records }: CifarRecords & { maxBytes?: number } = {},
): Promise<CifarBatch> {
  return parseCifar(await readMaybeGzip(path, maxBytes), path, records);
}

/**
 * Reads the class names of CIFAR (`batches.meta.txt`, `fine_label_names.txt`): one a line, in the order of the labels.
 *
 * @throws InputError when the file is missing, above 64 KiB, not UTF-8, or has no, too many, repeated or unprintable names.
 */
export async function readCifarNames(path: string): Promise<string[]> {
  const bytes = await readFileCapped(path, MAX_NAMES_BYTES);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(`${path}: expected UTF-8 text, found other bytes`);
  }
  const names = text.trimEnd().split(/\r?\n/);
  const bad = names.find((name, index) => !/^[^\p{C}]{1,80}$/u.test(name) || names.indexOf(name) !== index);
  if (bad !== undefined)
    throw new InputError(`${path}: expected different class names, one a line, found ${quote(bad)}`);
  if (names.length > 256) throw new InputError(`${path}: expected at most 256 class names, found ${names.length}`);
  return names;
}
