import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CIFAR_SIZE, listFolder, readCifar, readIdx, TABLE_NAME } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import {
  type ImageCollection,
  imagesInMemory,
  type LabelledImages,
  type LabelledPart,
  type Normalization,
} from './collection.js';
import type { ColumnChoice } from './columns.js';
import { KNOWN_LAYOUTS, sourceOfFolder } from './detect.js';
import { type DataLayout, type DataSource, dataSources } from './registry.js';
import { CIFAR_CLASSES } from './sources/cifar.js';
import { idxImages } from './sources/idx.js';
import type { LabelledTexts } from './texts.js';

/** What lies at a path. */
export type DataKind =
  | 'IDX labels'
  | 'IDX images'
  | 'IDX folder'
  | 'CIFAR file'
  | 'CIFAR folder'
  | 'image folder'
  | 'texts';

const FOLDER_KINDS: Readonly<Record<DataLayout, DataKind>> = {
  // Never found in a folder.
  embedded: 'image folder',
  idx: 'IDX folder',
  cifar: 'CIFAR folder',
  images: 'image folder',
  table: 'texts',
  prompts: 'texts',
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

/** A data set, described. */
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

/** A described data set, and its images or texts where there are some. */
export interface FoundData extends DataDescription {
  /** The images of each split, in the order of `splits`; none where there are texts. */
  readonly images: readonly LabelledImages[];
  /** The texts of each split, in the order of `splits`; none where there are images. */
  readonly texts: readonly LabelledTexts[];
}

/**
 * Finds out what data a path holds: an IDX or CIFAR file, a folder of these, a folder of images, a file or folder of texts, or
 * a folder that holds several of such folders.
 *
 * @param columns - Which columns texts are in; default found by their names.
 * @throws InputError when it is none of them, or its files are malformed.
 */
export async function findData(path: string, columns?: ColumnChoice): Promise<FoundData[]> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile())
    return [TABLE_NAME.test(path) ? await open(path, dataSources.get('texts'), columns) : await findFile(path)];
  const listing = await listFolder(path);
  const source = await sourceOfFolder(path, listing);
  if (source) return [await open(path, source, columns)];
  const inner: FoundData[] = [];
  for (const name of listing.folders) {
    const folder = join(path, name);
    const innerSource = await sourceOfFolder(folder, await listFolder(folder));
    if (innerSource) inner.push(await open(folder, innerSource, columns));
  }
  if (inner.length > 0) return inner;
  throw new InputError(`${path}: expected ${KNOWN_LAYOUTS}, or folders of these, found none`);
}

/** What findData found, without the images and texts. */
export function describeData({ images: _, texts: __, ...description }: FoundData): DataDescription {
  return description;
}

async function open(path: string, source: DataSource, columns?: ColumnChoice): Promise<FoundData> {
  const collection = await source.open(path, columns);
  const { name } = source;
  const kind = FOLDER_KINDS[source.layout];
  if (collection.kind === 'images') {
    return { ...describedImages(path, kind, collection), name, normalization: collection.normalization };
  }
  const { classes, notes = [] } = collection;
  const { splits, parts } = splitsOf(collection);
  const found = { path, kind, images: [], texts: parts, name };
  const { wordClasses } = collection.train;
  if (!wordClasses) return { ...found, classes, splits, notes };
  const counted = splits.map((split, at) => ({ ...split, counts: wordCounts(parts[at], wordClasses.length) }));
  return { ...found, classes: wordClasses, splits: counted, notes: [...notes, 'Classes are counted in words.'] };
}

/** How many words of each class there are. */
function wordCounts({ labels, wordLabels }: LabelledTexts, classes: number): number[] {
  const counts = Array.from({ length: classes }, () => 0);
  for (const index of labels.keys()) for (const label of wordLabels?.(index) ?? []) counts[label]++;
  return counts;
}

function describedImages(
  path: string,
  kind: DataKind,
  collection: Pick<ImageCollection, 'classes' | 'train' | 'validation' | 'test' | 'notes'>,
): FoundData {
  const { channels, height, width } = collection.train.image;
  const { classes, notes = [] } = collection;
  const { splits, parts } = splitsOf(collection);
  return { path, kind, image: [channels, height, width], classes, splits, images: parts, texts: [], notes };
}

/** The parts of an opened data set under their names, and how many examples of each class each has. */
function splitsOf<P extends LabelledPart>(opened: {
  readonly classes: readonly string[];
  readonly train: P;
  readonly validation?: P;
  readonly test?: P;
}): { splits: SplitDescription[]; parts: P[] } {
  const { classes, train, validation, test } = opened;
  const parts: [string, P][] = [[test || validation ? 'train' : 'all', train]];
  if (validation) parts.push(['validation', validation]);
  if (test) parts.push(['test', test]);
  return {
    splits: parts.map(([name, { labels }]) => splitOf(name, labels, classes.length)),
    parts: parts.map(([, each]) => each),
  };
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
    return describedImages(path, 'CIFAR file', { classes: CIFAR_CLASSES, train: images });
  }
  const { shape, data } = await readIdx(path);
  const [size] = shape;
  if (shape.length === 1) {
    const classes = data.reduce((most, label) => Math.max(most, label + 1), 0);
    const names = Array.from({ length: classes }, (_, label) => String(label));
    return {
      path,
      kind: 'IDX labels',
      classes: names,
      splits: [splitOf('all', data, classes)],
      images: [],
      texts: [],
      notes: [],
    };
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
    texts: [],
    notes: [],
  };
}
