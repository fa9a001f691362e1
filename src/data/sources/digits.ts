import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { InputError } from '../../registry/index.js';
import { type ImageCollection, imagesInMemory, type Normalization } from '../collection.js';

/** Mean and deviation of MNIST, in common use. */
export const MNIST_NORMALIZATION: Normalization = { mean: [0.1307], std: [0.3081] };

const size = 28;
const pixels = size * size;

/**
 * The 10,000 real MNIST digits of the `mnist` package, grey, 28×28, ordered by class. Exact copies of an image are left out, so that no split can share one.
 *
 * @throws InputError when the package's files are not there or malformed.
 */
export async function openDigits(): Promise<ImageCollection> {
  const require = createRequire(import.meta.url);
  const images: Uint8Array[] = [];
  const labels: number[] = [];
  const seen = new Set<string>();
  for (let digit = 0; digit < 10; digit++) {
    const path = require.resolve(`mnist/src/digits/${digit}.json`);
    const bytes = pixelsOf(await readFile(path), path);
    // The files end in a part of an image, which is left out.
    for (let start = 0; start + pixels <= bytes.length; start += pixels) {
      const image = bytes.subarray(start, start + pixels);
      const key = Buffer.from(image).toString('latin1');
      if (seen.has(key)) continue;
      seen.add(key);
      images.push(image);
      labels.push(digit);
    }
  }
  const all = new Uint8Array(images.length * pixels);
  images.forEach((image, index) => {
    all.set(image, index * pixels);
  });
  const bytes = { pixels: all, channels: 1, height: size, width: size } as const;
  return {
    kind: 'images',
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    normalization: MNIST_NORMALIZATION,
    train: imagesInMemory('digits', bytes, Int32Array.from(labels)),
  };
}

const codes = { zero: 48, nine: 57, point: 46, comma: 44, opening: 91, closing: 93 };

/**
 * The bytes of `{"data":[0,0.996,…]}`: the package holds them divided by 255 and rounded to three digits, which gives them back
 * exactly. Read as the text is gone through: to make an array of eight million numbers of it first takes 0.7 s a process.
 */
function pixelsOf(text: Buffer, path: string): Uint8Array {
  const start = text.indexOf(codes.opening) + 1;
  const end = text.indexOf(codes.closing, start);
  if (start === 0 || end === -1) throw new InputError(`${path}: expected a key "data" with numbers, found none`);
  const found = new Uint8Array(end - start);
  let count = 0;
  let [digits, unit] = [0, 0];
  for (let at = start; at <= end; at++) {
    const code = text[at];
    if (code >= codes.zero && code <= codes.nine) {
      digits = 10 * digits + code - codes.zero;
      unit *= 10;
    } else if (code === codes.point && unit === 0) unit = 1;
    else if (code === codes.comma || code === codes.closing) {
      // Most are the background.
      found[count++] = digits === 0 ? 0 : Math.round((digits / (unit || 1)) * 255);
      digits = 0;
      unit = 0;
    } else throw new InputError(`${path}: expected numbers from 0 to 1, found other text at byte ${at}`);
  }
  return found.subarray(0, count);
}
