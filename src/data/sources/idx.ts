import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type FolderListing, listFolder, readFileCapped, readIdx } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import { type ImageCollection, imagesInMemory, type Normalization, statisticsOf } from '../collection.js';
import type { ImageBytes } from '../images.js';

/** Names as MNIST's (`train-images-idx3-ubyte`, also with a dot before `idx`), EMNIST's with the set's name before them. */
const NAME = /^(?:(.+)-)?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(?:\.gz)?$/;
const MAX_MAPPING_BYTES = 2 ** 16;

/** What is known of a data set in IDX files beforehand. */
export interface KnownSet {
  /** Names of its classes, numbered from 0 in the files. */
  readonly classes: readonly string[];
  /** Normalization in common use. */
  readonly normalization: Normalization;
}

/** Whether a folder holds images in IDX files under the usual names. */
export function isIdxFolder({ files }: FolderListing): boolean {
  return files.some((name) => partOf(name) === 'train images');
}

/** Whether a file name is that of IDX images; of which set is then its folder's and its own matter. */
export function isIdxImages(path: string): boolean {
  return partOf(basename(path)) === 'train images';
}

/** `train images` and the like. */
function partOf(name: string): string | undefined {
  const [, , split, kind] = NAME.exec(name) ?? [];
  return split === undefined ? undefined : `${split === 'train' ? 'train' : 'test'} ${kind}`;
}

/**
 * Opens IDX files, named as MNIST's or EMNIST's, each plain or gzip (`.gz`).
 *
 * Of a set that is not known, the labels of the training images are its classes, in their order, wherever they begin
 * (EMNIST's letters begin at 1); EMNIST's `...-mapping.txt` names them. Its normalization are the statistics of the training
 * images, and test images may be missing.
 *
 * @param path - Their folder, or the training images of one set among several.
 * @throws InputError when a file is missing or malformed, counts or sizes differ, or a label is no class.
 */
export async function openIdx(path: string, known?: KnownSet): Promise<ImageCollection> {
  const found = await findSet(path, known !== undefined);
  const train = await readPair(found.train);
  const test = found.test && (await readPair(found.test));
  const values = known ? [...known.classes.keys()] : [...new Set(train.labels)].sort((a, b) => a - b);
  const names =
    known?.classes ?? (found.mapping === undefined ? values.map(String) : await mappedNames(found.mapping, values));
  const images = (read: ReadPair) => imagesInMemory(read.imagesPath, read.images, classesOf(read, values));
  if (test && String(sizeOf(test)) !== String(sizeOf(train))) {
    throw new InputError(`${test.imagesPath}: expected images of ${sizeOf(train)}, found ${sizeOf(test)}`);
  }
  return {
    kind: 'images',
    classes: names,
    normalization: known?.normalization ?? statisticsOf(train.images),
    train: images(train),
    test: test && images(test),
  };
}

/**
 * The files that {@link openIdx} reads, and the one that names the set.
 *
 * @throws InputError when one is missing.
 */
export async function idxFiles(path: string, known?: KnownSet): Promise<string[]> {
  const { train, test, mapping } = await findSet(path, known !== undefined);
  const pairs = [train, ...(test ? [test] : [])].flatMap(({ imagesPath, labelsPath }) => [imagesPath, labelsPath]);
  const isFile = (await stat(path)).isFile();
  return [...pairs, ...(mapping === undefined ? [] : [mapping]), ...(isFile ? [path] : [])];
}

/** The files of a set. */
interface IdxSet {
  readonly train: PairPaths;
  readonly test?: PairPaths;
  /** Of the names of its classes. */
  readonly mapping?: string;
}

async function findSet(path: string, isKnown: boolean): Promise<IdxSet> {
  const isFile = (await stat(path).catch(() => undefined))?.isFile() === true;
  const folder = isFile ? dirname(path) : path;
  const listing = await listFolder(folder);
  const prefix = isFile ? (NAME.exec(basename(path))?.[1] ?? '') : onlyPrefix(folder, listing, isKnown);
  const hasTest = listing.files.some(
    (name) => partOf(name)?.startsWith('test') && (NAME.exec(name)?.[1] ?? '') === prefix,
  );
  const mapping = `${prefix}-mapping.txt`;
  const isMapped = !isKnown && prefix !== '' && listing.files.includes(mapping);
  return {
    train: findPair(folder, listing, prefix, 'train'),
    ...((isKnown || hasTest) && { test: findPair(folder, listing, prefix, 'test') }),
    ...(isMapped && { mapping: join(folder, mapping) }),
  };
}

function sizeOf({ images: { channels, height, width } }: ReadPair): string {
  return `${channels}×${height}×${width}`;
}

/** What stands before `-train-images`, which all files of a set share; a known set's have nothing there. */
function onlyPrefix(folder: string, { files }: FolderListing, isKnown: boolean): string {
  const found = files.filter((name) => partOf(name) === 'train images');
  const prefixes = [...new Set(found.map((name) => NAME.exec(name)?.[1] ?? ''))];
  if (isKnown && prefixes.includes('')) return '';
  if (prefixes.length > 1) {
    throw new InputError(
      `${folder}: expected one set of IDX files, found ${prefixes.map((prefix) => prefix || 'one without a name').join(', ')}; give the path of the training images of one, such as ${join(folder, found[0])}`,
    );
  }
  return prefixes[0] ?? '';
}

interface PairPaths {
  imagesPath: string;
  labelsPath: string;
}

interface ReadPair extends PairPaths {
  images: ImageBytes;
  labels: Uint8Array;
}

function findPair(folder: string, listing: FolderListing, prefix: string, split: 'train' | 'test'): PairPaths {
  const find = (kind: string, rank: number) => {
    const usual = `${prefix && `${prefix}-`}${split === 'test' ? 't10k' : 'train'}-${kind}-idx${rank}-ubyte`;
    const isOne = (name: string) => partOf(name) === `${split} ${kind}` && (NAME.exec(name)?.[1] ?? '') === prefix;
    // A plain file before a compressed one.
    const other = [...listing.files, ...listing.outside].filter(isOne).sort((a, b) => a.length - b.length)[0];
    return join(folder, findFile(folder, listing, other?.replace(/\.gz$/, '') ?? usual));
  };
  return { imagesPath: find('images', 3), labelsPath: find('labels', 1) };
}

async function readPair({ imagesPath, labelsPath }: PairPaths): Promise<ReadPair> {
  const { shape, data } = await readIdx(imagesPath);
  const labels = await readIdx(labelsPath);
  if (shape.length === 1) {
    throw new InputError(`${imagesPath}: expected images (magic 0x00000803), found labels`);
  }
  if (labels.shape.length !== 1) {
    throw new InputError(`${labelsPath}: expected labels (magic 0x00000801), found images`);
  }
  if (labels.shape[0] !== shape[0]) {
    throw new InputError(
      `${labelsPath}: expected ${shape[0]} labels as ${basename(imagesPath).replace(/\.gz$/, '')} has images, found ${labels.shape[0]}`,
    );
  }
  return { imagesPath, labelsPath, images: idxImages(imagesPath, shape, data), labels: labels.data };
}

/**
 * The images of an IDX file, `[size, height, width]`, or with 1 or 3 channels before or after these.
 *
 * @throws InputError when there are other channels.
 */
export function idxImages(path: string, shape: readonly number[], data: Uint8Array): ImageBytes {
  const [size, second, third, fourth] = shape;
  if (fourth === undefined) return { pixels: data, channels: 1, height: second, width: third };
  if (second === 1 || second === 3) return { pixels: data, channels: second, height: third, width: fourth };
  if (fourth !== 1 && fourth !== 3) {
    throw new InputError(`${path}: expected images with 1 or 3 channels, first or last, found shape [${shape}]`);
  }
  const plane = second * third;
  const pixels = new Uint8Array(data.length);
  for (let image = 0; image < size; image++) {
    const start = image * plane * fourth;
    for (let channel = 0; channel < fourth; channel++) {
      for (let i = 0; i < plane; i++) pixels[start + channel * plane + i] = data[start + i * fourth + channel];
    }
  }
  return { pixels, channels: fourth, height: second, width: third };
}

/** The position of each label among those that are classes. */
function classesOf({ labelsPath, labels }: ReadPair, values: readonly number[]): Int32Array {
  const positions = new Map(values.map((value, position) => [value, position]));
  return Int32Array.from(labels, (label, i) => {
    const position = positions.get(label);
    if (position === undefined) {
      const isRange = values.every((value, at) => value === values[0] + at);
      const expected = isRange ? `from ${values[0]} to ${values[values.length - 1]}` : `that occur in training`;
      throw new InputError(`${labelsPath}: expected labels ${expected}, found ${label} at position ${i}`);
    }
    return position;
  });
}

/** EMNIST's names of labels: lines of a label and the codes of its characters, of which the first is taken. */
async function mappedNames(path: string, values: readonly number[]): Promise<string[]> {
  const lines = new TextDecoder()
    .decode(await readFileCapped(path, MAX_MAPPING_BYTES))
    .trim()
    .split(/\r?\n/);
  const names = new Map<number, string>();
  for (const line of lines) {
    const [label, code] = /^(\d{1,3})((?: \d{2,6})+)$/.exec(line.trim())?.slice(1) ?? [];
    const first = Number(code?.trim().split(' ')[0]);
    // Visible ASCII is what EMNIST has.
    if (label === undefined || !(first > 0x20 && first < 0x7f)) {
      throw new InputError(`${path}: expected lines of a label and codes of its characters, found ${quote(line)}`);
    }
    names.set(Number(label), String.fromCodePoint(first));
  }
  return values.map((value) => names.get(value) ?? String(value));
}

/** The name under which a folder holds a file, plain or gzip. */
export function findFile(folder: string, { files, outside }: FolderListing, name: string): string {
  const found = [name, `${name}.gz`].find((each) => files.includes(each));
  if (found !== undefined) return found;
  const link = [name, `${name}.gz`].find((each) => outside.includes(each));
  if (link !== undefined)
    throw new InputError(`${join(folder, link)}: expected a file, found a link out of the folder`);
  throw new InputError(`${folder}: expected a file ${name} or ${name}.gz, found none`);
}
