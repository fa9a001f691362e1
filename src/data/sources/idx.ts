import { join } from 'node:path';
import { type FolderListing, InputError, listFolder, readIdx } from '../../formats/index.js';
import { type ImageCollection, imagesInMemory, type LabelledImages } from '../collection.js';

/** The usual file names of a split. */
const FILES = {
  train: ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'],
  test: ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'],
} as const;

/** Whether a folder holds images in IDX files under the usual names. */
export function isIdxFolder({ files }: FolderListing): boolean {
  return files.some((name) => name.replace(/\.gz$/, '') === FILES.train[0]);
}

/**
 * Opens a folder of IDX files, named as MNIST's, each plain or gzip (`.gz`).
 *
 * @param classes - Names of the classes; default the numbers up to the largest label.
 * @throws InputError when a file is missing or malformed, counts differ, or a label is no class.
 */
export async function openIdx(folder: string, classes?: readonly string[]): Promise<ImageCollection> {
  const listing = await listFolder(folder);
  const train = await readPair(folder, listing, FILES.train, classes);
  const test = await readPair(folder, listing, FILES.test, classes);
  const count = [train, test].reduce((most, { labels }) => labels.reduce((a, b) => Math.max(a, b + 1), most), 0);
  return { classes: classes ?? Array.from({ length: count }, (_, label) => String(label)), train, test };
}

async function readPair(
  folder: string,
  listing: FolderListing,
  names: readonly [string, string],
  classes: readonly string[] | undefined,
): Promise<LabelledImages> {
  const [imagesPath, labelsPath] = names.map((name) => join(folder, findFile(folder, listing, name)));
  const images = await readIdx(imagesPath);
  const labels = await readIdx(labelsPath);
  const [size, height, width] = images.shape;
  if (height === undefined || width === undefined) {
    throw new InputError(`${imagesPath}: expected images (magic 0x00000803), found labels`);
  }
  if (labels.shape.length !== 1) {
    throw new InputError(`${labelsPath}: expected labels (magic 0x00000801), found images`);
  }
  if (labels.shape[0] !== size) {
    throw new InputError(`${labelsPath}: expected ${size} labels as ${names[0]} has images, found ${labels.shape[0]}`);
  }
  const bad = classes ? labels.data.findIndex((label) => label >= classes.length) : -1;
  if (classes && bad !== -1) {
    throw new InputError(
      `${labelsPath}: expected labels from 0 to ${classes.length - 1}, found ${labels.data[bad]} at position ${bad}`,
    );
  }
  return imagesInMemory(imagesPath, { pixels: images.data, channels: 1, height, width }, Int32Array.from(labels.data));
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
