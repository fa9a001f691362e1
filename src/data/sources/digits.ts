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
    const { data } = JSON.parse(await readFile(path, 'utf8')) as { data: unknown };
    if (!Array.isArray(data)) throw new InputError(`${path}: expected a key "data" with numbers, found none`);
    // The package holds bytes divided by 255 and rounded to three digits, which gives the bytes back exactly.
    const bytes = new Uint8Array(data.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.round(Number(data[i]) * 255);
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
