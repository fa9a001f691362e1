import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { InputError } from '../formats/index.js';
import type { Dataset } from './dataset.js';

const size = 28;
const pixels = size * size;
/** Mean and deviation of MNIST's training pixels, the usual normalization. */
const mean = 0.1307;
const deviation = 0.3081;

/**
 * The 10,000 real MNIST digits of the `mnist` package, `[1, 28, 28]`, normalized to mean 0 and deviation 1, ordered by
 * class. Exact copies of an image are left out, so that no split can share one.
 *
 * @throws InputError when the package's files are not there or malformed.
 */
export async function loadDigits(): Promise<Dataset> {
  const require = createRequire(import.meta.url);
  const images: Float32Array[] = [];
  const labels: number[] = [];
  const seen = new Set<string>();
  for (let digit = 0; digit < 10; digit++) {
    const path = require.resolve(`mnist/src/digits/${digit}.json`);
    const { data } = JSON.parse(await readFile(path, 'utf8')) as { data: unknown };
    if (!Array.isArray(data)) throw new InputError(`${path}: expected a key "data" with numbers, found none`);
    const values = Float32Array.from(data as number[]);
    // The files end in a part of an image, which is left out.
    for (let start = 0; start + pixels <= values.length; start += pixels) {
      const image = values.subarray(start, start + pixels);
      const key = Buffer.from(image.buffer, image.byteOffset, image.byteLength).toString('latin1');
      if (seen.has(key)) continue;
      seen.add(key);
      images.push(image.map((value) => (value - mean) / deviation));
      labels.push(digit);
    }
  }
  const inputs = new Float32Array(images.length * pixels);
  images.forEach((image, index) => {
    inputs.set(image, index * pixels);
  });
  return {
    name: 'digits',
    inputShape: [1, size, size],
    inputs,
    labels: Int32Array.from(labels),
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    size: images.length,
  };
}
