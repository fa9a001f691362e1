import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CIFAR_SIZE, listFolder, readCifar, readIdx } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { type ImageCollection, imagesInMemory, type LabelledImages, type Normalization } from './collection.js';
import { KNOWN_LAYOUTS, sourceOfFolder } from './detect.js';
import type { DataLayout, DataSource } from './registry.js';
import { CIFAR_CLASSES } from './sources/cifar.js';
import { idxImages } from './sources/idx.js';

/** What lies at a path. */
export type DataKind = 'IDX labels' | 'IDX images' | 'IDX folder' | 'CIFAR file' | 'CIFAR folder' | 'image folder';

const FOLDER_KINDS: Readonly<Record<DataLayout, DataKind>> = {
  // Never found in a folder.
  embedded: 'image folder',
  idx: 'IDX folder',
  cifar: 'CIFAR folder',
  images: 'image folder',
};

/** A split of a data set: how many examples of each class. */
export interface SplitDescription {
  /** `train`, `validation`, `test`, or `all` where there is no official split. */
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
  /** Name of the source that opens it, for `data.name`; none for single files. */
  readonly name?: string;
  /** Mean and deviation of each channel that its source normalizes with; none for single files. */
  readonly normalization?: Normalization;
  /** What of its files is left out or used otherwise, and why. */
  readonly notes: readonly string[];
}

/** A described data set, and its images where there are some. */
export interface FoundData extends DataDescription {
  /** The images of each split, in the order of `splits`. */
  readonly images: readonly LabelledImages[];
}

/**
 * Finds out what data a path holds: an IDX or CIFAR file, a folder of these, a folder of images, or a folder that
 * holds several of such folders.
 *
 * @throws InputError when it is none of them, or its files are malformed.
 */
export async function findData(path: string): Promise<FoundData[]> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) return [await findFile(path)];
  const listing = await listFolder(path);
  const source = await sourceOfFolder(path, listing);
  if (source) return [await open(path, source)];
  const inner: FoundData[] = [];
  for (const name of listing.folders) {
    const folder = join(path, name);
    const innerSource = await sourceOfFolder(folder, await listFolder(folder));
    if (innerSource) inner.push(await open(folder, innerSource));
  }
  if (inner.length > 0) return inner;
  throw new InputError(`${path}: expected ${KNOWN_LAYOUTS}, or folders of these, found none`);
}

/** What findData found, without the images. */
export function describeData({ images: _, ...description }: FoundData): DataDescription {
  return description;
}

async function open(path: string, source: DataSource): Promise<FoundData> {
  const collection = await source.open(path);
  const { normalization } = collection;
  return { ...collected(path, FOLDER_KINDS[source.layout], collection), name: source.name, normalization };
}

function collected(
  path: string,
  kind: DataKind,
  { classes, train, validation, test, notes = [] }: Omit<ImageCollection, 'normalization'>,
): FoundData {
  const { channels, height, width } = train.image;
  const parts: [string, LabelledImages][] = [[test || validation ? 'train' : 'all', train]];
  if (validation) parts.push(['validation', validation]);
  if (test) parts.push(['test', test]);
  const splits = parts.map(([name, { labels }]) => splitOf(name, labels, classes.length));
  const images = parts.map(([, each]) => each);
  return { path, kind, image: [channels, height, width], classes, splits, images, notes };
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
    return collected(path, 'CIFAR file', { classes: CIFAR_CLASSES, train: images });
  }
  const { shape, data } = await readIdx(path);
  const [size] = shape;
  if (shape.length === 1) {
    const classes = data.reduce((most, label) => Math.max(most, label + 1), 0);
    const names = Array.from({ length: classes }, (_, label) => String(label));
    return { path, kind: 'IDX labels', classes: names, splits: [splitOf('all', data, classes)], images: [], notes: [] };
  }
  const bytes = idxImages(path, shape, data);
  const images = imagesInMemory(path, bytes, new Int32Array(size));
  return {
    path,
    kind: 'IDX images',
    image: [bytes.channels, bytes.height, bytes.width],
    classes: [],
    splits: [{ name: 'all', size, counts: [] }],
    images: [images],
    notes: [],
  };
}
