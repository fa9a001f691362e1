import { join } from 'node:path';
import {
  CIFAR_SIZE,
  type CifarBatch,
  type FolderListing,
  listFolder,
  readCifar,
  readCifarNames,
} from '../../formats/index.js';
import { type ImageCollection, imagesInMemory, type LabelledImages } from '../collection.js';
import { findFile } from './idx.js';

const NAMES = 'batches.meta.txt';
const TEST = 'test_batch.bin';
const BATCH = /^data_batch_(\d{1,4})\.bin(\.gz)?$/;

/** The classes of CIFAR-10, where a folder does not name them. */
export const CIFAR_CLASSES: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];

/** Whether a folder holds CIFAR-10 in its binary version. */
export function isCifarFolder({ files }: FolderListing): boolean {
  return files.some((name) => BATCH.test(name));
}

/**
 * Opens a folder with CIFAR-10 in its binary version: `data_batch_1.bin` and further, `test_batch.bin`, each plain or gzip
 * (`.gz`), and `batches.meta.txt` with the names of the classes (default those of CIFAR-10).
 *
 * @throws InputError when a file is missing or malformed, or a label is no class.
 */
export async function openCifar(folder: string): Promise<ImageCollection> {
  const listing = await listFolder(folder);
  const classes = listing.files.includes(NAMES) ? await readCifarNames(join(folder, NAMES)) : CIFAR_CLASSES;
  const numbers = new Set(listing.files.flatMap((name) => BATCH.exec(name)?.[1] ?? []).map(Number));
  // Without any, the first is asked for, so that the message names it.
  const batches = [...(numbers.size > 0 ? numbers : [1])].sort((a, b) => a - b).map((n) => `data_batch_${n}.bin`);
  const read = (names: readonly string[]) =>
    readBatches(
      names.map((name) => join(folder, findFile(folder, listing, name))),
      classes.length,
    );
  return { classes, train: await read(batches), test: await read([TEST]) };
}

async function readBatches(paths: readonly string[], classes: number): Promise<LabelledImages> {
  const batches: (CifarBatch & { path: string })[] = [];
  for (const path of paths) batches.push({ path, ...(await readCifar(path, { classes })) });
  const labels = Int32Array.from(batches.flatMap((batch) => [...batch.labels]));
  const pixels =
    batches.length === 1 ? batches[0].pixels : new Uint8Array(Buffer.concat(batches.map((batch) => batch.pixels)));
  const images = imagesInMemory(paths[0], { pixels, channels: 3, height: CIFAR_SIZE, width: CIFAR_SIZE }, labels);
  return {
    ...images,
    nameOf: (index) => {
      let record = index;
      for (const { path, labels: own } of batches) {
        if (record < own.length) return `${path} ${record}`;
        record -= own.length;
      }
      return images.nameOf(index);
    },
  };
}
