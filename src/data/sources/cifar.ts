import { join } from 'node:path';
import {
  CIFAR_SIZE,
  type CifarBatch,
  type CifarRecords,
  type FolderListing,
  listFolder,
  readCifar,
  readCifarNames,
} from '../../formats/index.js';
import { type ImageCollection, imagesInMemory, type LabelledImages, statisticsOf } from '../collection.js';
import type { ImageBytes } from '../images.js';
import { findFile, type KnownSet } from './idx.js';

/** The files of CIFAR-10 and those of CIFAR-100, whose records have a coarse and a fine label. */
const LAYOUTS = [
  {
    batch: /^data_batch_(\d{1,4})\.bin(\.gz)?$/,
    first: 'data_batch_1.bin',
    test: 'test_batch.bin',
    names: 'batches.meta.txt',
    labelBytes: 1,
  },
  { batch: /^train\.bin(\.gz)?$/, first: 'train.bin', test: 'test.bin', names: 'fine_label_names.txt', labelBytes: 2 },
] as const;

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

/** Whether a folder holds CIFAR-10 or CIFAR-100 in its binary version, or a set like them. */
export function isCifarFolder({ files }: FolderListing): boolean {
  return LAYOUTS.some(({ batch }) => files.some((name) => batch.test(name)));
}

/**
 * Opens a folder in CIFAR's binary version: `data_batch_1.bin` and further, `test_batch.bin` and `batches.meta.txt` with the
 * names of the classes, or `train.bin`, `test.bin` and `fine_label_names.txt` as in CIFAR-100; batches are plain or gzip
 * (`.gz`).
 *
 * Of a set that is not known, classes without names are the numbers up to the largest label of the training images, the
 * normalization are the statistics of these, and test images may be missing.
 *
 * @throws InputError when a file is missing or malformed, or a label is no class.
 */
export async function openCifar(folder: string, known?: KnownSet): Promise<ImageCollection> {
  const listing = await listFolder(folder);
  const layout = LAYOUTS.find(({ batch }) => !known && listing.files.some((name) => batch.test(name))) ?? LAYOUTS[0];
  const named = listing.files.includes(layout.names)
    ? await readCifarNames(join(folder, layout.names))
    : known?.classes;
  const numbers = listing.files.flatMap((name) => layout.batch.exec(name)?.[1] ?? []).map(Number);
  // Without any, the first is asked for, so that the message names it.
  const batches = [...new Set(numbers)].sort((a, b) => a - b).map((n) => `data_batch_${n}.bin`);
  const read = async (names: readonly string[], classes: number) => {
    const paths = names.map((name) => join(folder, findFile(folder, listing, name)));
    return readBatches(paths, { classes, labelBytes: layout.labelBytes });
  };
  const train = await read(
    layout.labelBytes === 1 && batches.length > 0 ? batches : [layout.first],
    named?.length ?? 256,
  );
  const count = train.images.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const classes = named ?? Array.from({ length: count }, (_, label) => String(label));
  const hasTest = [layout.test, `${layout.test}.gz`].some((name) => listing.files.includes(name));
  return {
    kind: 'images',
    classes,
    normalization: known?.normalization ?? statisticsOf(train.bytes),
    train: train.images,
    test: known || hasTest ? (await read([layout.test], classes.length)).images : undefined,
  };
}

async function readBatches(
  paths: readonly string[],
  records: CifarRecords,
): Promise<{ images: LabelledImages; bytes: ImageBytes }> {
  const batches: (CifarBatch & { path: string })[] = [];
  for (const path of paths) batches.push({ path, ...(await readCifar(path, records)) });
  const labels = Int32Array.from(batches.flatMap((batch) => [...batch.labels]));
  const pixels =
    batches.length === 1 ? batches[0].pixels : new Uint8Array(Buffer.concat(batches.map((batch) => batch.pixels)));
  const bytes = { pixels, channels: 3, height: CIFAR_SIZE, width: CIFAR_SIZE } as const;
  const images = imagesInMemory(paths[0], bytes, labels);
  const nameOf = (index: number) => {
    let record = index;
    for (const { path, labels: own } of batches) {
      if (record < own.length) return `${path} ${record}`;
      record -= own.length;
    }
    return images.nameOf(index);
  };
  return { images: { ...images, nameOf }, bytes };
}
