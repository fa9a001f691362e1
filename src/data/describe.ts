import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CIFAR_SIZE, type FolderListing, InputError, listFolder, readCifar, readIdx } from '../formats/index.js';
import { type ImageCollection, imagesInMemory, type LabelledImages } from './collection.js';
import { dataSources } from './registry.js';
import { CIFAR_CLASSES, isCifarFolder, openCifar } from './sources/cifar.js';
import { isImageFolder, openImageFolder } from './sources/folder.js';
import { isIdxFolder, openIdx } from './sources/idx.js';

/** What lies at a path. */
export type DataKind =
  | 'IDX labels'
  | 'IDX images'
  | 'IDX folder'
  | 'CIFAR-10 file'
  | 'CIFAR-10 folder'
  | 'image folder';

/** A split of a data set: how many examples of each class. */
export interface SplitDescription {
  /** `train`, `test`, or `all` where there is no official split. */
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  /** Examples of each class; none where there are no labels. */
  readonly counts: readonly number[];
}

/** A data set of images, described. */
export interface DataDescription {
  /** Where it lies. */
  readonly path: string;
  /** What it is. */
  readonly kind: DataKind;
  /** `[channels, height, width]`, of the first image where they differ; none for labels alone. */
  readonly image?: readonly [number, number, number];
  /** Names of the classes; none for images alone. */
  readonly classes: readonly string[];
  /** Its splits. */
  readonly splits: readonly SplitDescription[];
}

/** A described data set, and its images where there are some. */
export interface FoundData extends DataDescription {
  /** The images of each split, in the order of `splits`. */
  readonly images: readonly LabelledImages[];
}

/**
 * Finds out what data a path holds: an IDX or CIFAR-10 file, a folder of these, a folder of images, or a folder that
 * holds several of such folders.
 *
 * @throws InputError when it is none of them, or its files are malformed.
 */
export async function findData(path: string): Promise<FoundData[]> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) return [await findFile(path)];
  const listing = await listFolder(path);
  const found = await findFolder(path, listing);
  if (found) return [found];
  const inner: FoundData[] = [];
  for (const name of listing.folders) {
    const data = await findFolder(join(path, name), await listFolder(join(path, name)));
    if (data) inner.push(data);
  }
  if (inner.length > 0) return inner;
  throw new InputError(
    `${path}: expected IDX files, CIFAR-10 batches, subfolders of PNG or JPEG images, or folders of these, found none`,
  );
}

/** What findData found, without the images. */
export function describeData({ images: _, ...description }: FoundData): DataDescription {
  return description;
}

async function findFolder(path: string, listing: FolderListing): Promise<FoundData | undefined> {
  if (isIdxFolder(listing)) return collected(path, 'IDX folder', await openNamedIdx(path));
  if (isCifarFolder(listing)) return collected(path, 'CIFAR-10 folder', await openCifar(path));
  if (await isImageFolder(path, listing)) return collected(path, 'image folder', await openImageFolder(path));
  return undefined;
}

/** A folder that is called as a data set of the registry must hold it. */
async function openNamedIdx(path: string): Promise<ImageCollection> {
  const name = basename(path);
  return dataSources.names().includes(name) ? dataSources.get(name).open(path) : openIdx(path);
}

function collected(path: string, kind: DataKind, { classes, train, test }: ImageCollection): FoundData {
  const { channels, height, width } = train.image;
  const parts = test ? { train, test } : { all: train };
  const splits = Object.entries(parts).map(([name, { labels }]) => splitOf(name, labels, classes.length));
  return { path, kind, image: [channels, height, width], classes, splits, images: Object.values(parts) };
}

function splitOf(name: string, labels: ArrayLike<number>, classes: number): SplitDescription {
  const counts = Array.from({ length: classes }, () => 0);
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
  return { name, size: labels.length, counts };
}

async function findFile(path: string): Promise<FoundData> {
  if (/\.bin(\.gz)?$/.test(path)) {
    const { labels, pixels } = await readCifar(path);
    const bytes = { pixels, channels: 3, height: CIFAR_SIZE, width: CIFAR_SIZE } as const;
    const images = imagesInMemory(path, bytes, Int32Array.from(labels));
    return collected(path, 'CIFAR-10 file', { classes: CIFAR_CLASSES, train: images });
  }
  const { shape, data } = await readIdx(path);
  const [size, height, width] = shape;
  if (height === undefined || width === undefined) {
    const classes = data.reduce((most, label) => Math.max(most, label + 1), 0);
    const names = Array.from({ length: classes }, (_, label) => String(label));
    return { path, kind: 'IDX labels', classes: names, splits: [splitOf('all', data, classes)], images: [] };
  }
  const images = imagesInMemory(path, { pixels: data, channels: 1, height, width }, new Int32Array(size));
  return {
    path,
    kind: 'IDX images',
    image: [1, height, width],
    classes: [],
    splits: [{ name: 'all', size, counts: [] }],
    images: [images],
  };
}
