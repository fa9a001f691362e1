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
  const { labelBytes, names, batches, test } = await findSet(folder, known !== undefined);
  const named = names === undefined ? known?.classes : await readCifarNames(names);
  const train = await readBatches(batches, { classes: named?.length ?? 256, labelBytes });
  const count = train.images.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const classes = named ?? Array.from({ length: count }, (_, label) => String(label));
  return {
    kind: 'images',
    classes,
    normalization: known?.normalization ?? statisticsOf(train.bytes),
    train: train.images,
    test: test === undefined ? undefined : (await readBatches([test], { classes: classes.length, labelBytes })).images,
  };
}

/**
 * The files that {@link openCifar} reads.
 *
 * @throws InputError when one is missing.
 */
export async function cifarFiles(folder: string, known?: KnownSet): Promise<string[]> {
  const { names, batches, test } = await findSet(folder, known !== undefined);
  return [...batches, ...[test, names].filter((path) => path !== undefined)];
}

/** The files of a set. */
interface CifarSet {
  readonly labelBytes: 1 | 2;
  /** Of the names of its classes. */
  readonly names?: string;
  readonly batches: readonly string[];
  readonly test?: string;
}

async function findSet(folder: string, isKnown: boolean): Promise<CifarSet> {
  const listing = await listFolder(folder);
  const has = (name: string) => listing.files.includes(name);
  const layout = LAYOUTS.find(({ batch }) => !isKnown && listing.files.some((name) => batch.test(name))) ?? LAYOUTS[0];
  const { labelBytes, first, test, names } = layout;
  const numbers = listing.files.flatMap((name) => layout.batch.exec(name)?.[1] ?? []).map(Number);
  // Without any, the first is asked for, so that the message names it.
  const batches = [...new Set(numbers)].sort((a, b) => a - b).map((n) => `data_batch_${n}.bin`);
  const locate = (name: string) => join(folder, findFile(folder, listing, name));
  return {
    labelBytes,
    ...(has(names) && { names: join(folder, names) }),
    batches: (labelBytes === 1 && batches.length > 0 ? batches : [first]).map(locate),
    ...((isKnown || has(test) || has(`${test}.gz`)) && { test: locate(test) }),
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
