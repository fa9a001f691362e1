import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodePng } from '../../src/formats/index.js';

/** The folder of real data sets, which not every machine has. */
export const sharedData = process.env.WEIGHTLOCK_DATA ?? '../shared/data';

/** Pixels that are different for every image, and the same at every call. */
export function pixelsOf(count: number, stride: number, start = 0): Uint8Array {
  return Uint8Array.from({ length: count * stride }, (_, i) => {
    const image = start + Math.floor(i / stride);
    return ((i % stride) * 7 + image * 31 + (i % stride === 0 ? image >> 3 : 0)) & 0xff;
  });
}

/** An IDX file of unsigned bytes. */
export function idxFile(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x0800 + shape.length);
  shape.forEach((length, axis) => {
    header.writeUInt32BE(length, 4 + 4 * axis);
  });
  return Buffer.concat([header, data]);
}

/** A CIFAR-10 batch file. */
export function cifarFile(labels: readonly number[], pixels: Uint8Array): Uint8Array {
  return Buffer.concat(
    labels.map((label, i) => Buffer.concat([Buffer.of(label), pixels.subarray(3072 * i, 3072 * (i + 1))])),
  );
}

/** Labels 0, 1, ..., 0, 1, ... */
export function cyclicLabels(count: number, classes = 10): number[] {
  return Array.from({ length: count }, (_, i) => i % classes);
}

/** Writes a file and the folders above it. */
export async function write(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

/** Writes a small data set under MNIST's file names; the test files are gzip. */
export async function writeIdxFolder(folder: string, { train = 60, test = 20, side = 6 } = {}): Promise<void> {
  const images = (count: number, start: number) => idxFile([count, side, side], pixelsOf(count, side * side, start));
  const labels = (count: number) => idxFile([count], Uint8Array.from(cyclicLabels(count)));
  await write(join(folder, 'train-images-idx3-ubyte'), images(train, 0));
  await write(join(folder, 'train-labels-idx1-ubyte'), labels(train));
  await write(join(folder, 't10k-images-idx3-ubyte.gz'), gzipSync(images(test, train)));
  await write(join(folder, 't10k-labels-idx1-ubyte.gz'), gzipSync(labels(test)));
}

/** Writes a small data set in CIFAR-10's layout: two training batches, of which one is gzip. */
export async function writeCifarFolder(folder: string, { train = 60, test = 20 } = {}): Promise<void> {
  const half = Math.ceil(train / 2);
  const batch = (count: number, start: number) => cifarFile(cyclicLabels(count), pixelsOf(count, 3072, start));
  await write(join(folder, 'data_batch_1.bin'), batch(half, 0));
  await write(join(folder, 'data_batch_2.bin.gz'), gzipSync(batch(train - half, half)));
  await write(join(folder, 'test_batch.bin'), batch(test, train));
}

/** Writes PNG images, one subfolder a class; `side` of the n-th image of all. */
export async function writeImageFolder(
  folder: string,
  { classes = ['cat', 'dog', 'eel'], perClass = 10, start = 0, side = (_: number): number => 8 } = {},
): Promise<void> {
  let index = start;
  for (const name of classes) {
    for (let i = 0; i < perClass; i++, index++) {
      const length = side(index - start);
      const pixels = pixelsOf(1, 3 * length * length, index);
      const png = await encodePng({ pixels, channels: 3, height: length, width: length });
      await write(join(folder, name, `${String(i).padStart(3, '0')}.png`), png);
    }
  }
}
