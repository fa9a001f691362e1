import { extname, join } from 'node:path';
import { type FolderListing, IMAGE_NAME, listFolder, readImage, readImageHeader } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import type { ImageCollection, LabelledImages, Normalization } from '../collection.js';
import { ImageCollector } from '../convert.js';
import type { ImageBytes } from '../images.js';

/** Most classes and images of a folder: enough for ImageNet, and its list of names still fits memory. */
const MAX_CLASSES = 100_000;
const MAX_IMAGES = 5_000_000;
/** Folders in folders of a class that are looked into. */
const MAX_DEPTH = 16;
/** What splits are called. */
const SPLITS = {
  train: ['train'],
  validation: ['val', 'valid', 'validation'],
  test: ['test'],
} as const;
const SPLIT_NAMES: readonly string[] = Object.values(SPLITS).flat();

/** ImageNet's, which pretrained models expect. */
const NORMALIZATION: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const isImage = (name: string) => IMAGE_NAME.test(name);

/** Whether a folder is a folder of images: subfolders, or those of its `train`, hold images. */
export async function isImageFolder(folder: string, { folders }: FolderListing): Promise<boolean> {
  for (const name of folders) {
    const inner = await listFolder(join(folder, name));
    if (inner.files.some(isImage)) return true;
    if (name === 'train' && (await isImageFolder(join(folder, name), inner))) return true;
  }
  return false;
}

/**
 * Opens a folder of images, one subfolder a class, in the order of their names, as torchvision's `ImageFolder`: images in
 * folders within a class are the class's, other files are left out. Images are decoded when they are read.
 *
 * Where `train` holds folders of images, and no class lies beside it, it is no class but a split, and so are `val` (or `valid`, `validation`) and
 * `test` beside it; without `test`, `val` takes its place, as ImageNet's does.
 *
 * @throws InputError when there is no image, it cannot be told splits from classes, a class of the other images is unknown
 *   in training, or a link leads out of the folder.
 */
export async function openImageFolder(folder: string): Promise<ImageCollection> {
  const notes: string[] = [];
  const { train, validation, test } = await listParts(folder, notes);
  for (const part of [validation, test]) {
    const unknown = part?.classes.find((name) => !train.classes.includes(name));
    if (part && unknown !== undefined) {
      throw new InputError(`${join(part.folder, unknown)}: expected a class of the training images, found another`);
    }
  }
  const image = await formOf([train, validation, test].flatMap((part) => part?.files ?? []));
  const images = (part: ListedImages) => imagesInFiles(part, train.classes, image);
  return {
    kind: 'images',
    classes: train.classes,
    normalization: NORMALIZATION,
    train: images(train),
    validation: validation && images(validation),
    test: test && images(test),
    notes,
  };
}

/**
 * The files that {@link openImageFolder} reads.
 *
 * @throws InputError as it does of folders.
 */
export async function imageFiles(folder: string): Promise<string[]> {
  const { train, validation, test } = await listParts(folder, []);
  return [train, validation, test].flatMap((part) => part?.files.map(({ path }) => path) ?? []);
}

async function listParts(folder: string, notes: string[]): Promise<ListedSplits> {
  const listing = await listFolder(folder);
  return (await hasSplits(folder, listing))
    ? listSplits(folder, listing, notes)
    : { train: await listImages(folder, notes) };
}

/**
 * Whether `train` is a split: a class folder of that name holds images itself.
 *
 * @throws InputError when it holds only classes and a class lies beside it, or other splits lie there without it.
 */
async function hasSplits(folder: string, { folders }: FolderListing): Promise<boolean> {
  if (!folders.some((name) => SPLIT_NAMES.includes(name))) return false;
  const kinds = new Map<string, FolderKind>();
  for (const name of folders) kinds.set(name, await kindOf(join(folder, name)));
  const beside = folders.find((name) => !SPLIT_NAMES.includes(name) && holdsImages(kinds.get(name)));
  if (kinds.get('train') === 'both' && beside === undefined) return true;
  if (kinds.get('train') === 'split') {
    if (beside === undefined) return true;
    throw new InputError(
      `${folder}: expected classes, or classes in train, found both: train holds folders of images, and so does ${quote(beside)} beside it hold images`,
    );
  }
  const split = folders.find((name) => SPLIT_NAMES.includes(name) && kinds.get(name) === 'split');
  if (split !== undefined && !folders.some((name) => holdsImages(kinds.get(name)))) {
    throw new InputError(`${folder}: expected a folder train beside ${split}, found none`);
  }
  return false;
}

/** A class holds images, a split folders of images. */
type FolderKind = 'class' | 'split' | 'both' | 'none';

const holdsImages = (kind: FolderKind | undefined) => kind === 'class' || kind === 'both';

async function kindOf(folder: string): Promise<FolderKind> {
  const { files, folders } = await listFolder(folder);
  const isClass = files.some(isImage);
  for (const name of folders) {
    if ((await listFolder(join(folder, name))).files.some(isImage)) return isClass ? 'both' : 'split';
  }
  return isClass ? 'class' : 'none';
}

interface ListedImages {
  folder: string;
  classes: readonly string[];
  files: readonly { path: string; className: string }[];
}

interface ListedSplits {
  train: ListedImages;
  validation?: ListedImages;
  test?: ListedImages;
}

async function listSplits(
  folder: string,
  { folders, files, outside }: FolderListing,
  notes: string[],
): Promise<ListedSplits> {
  requireInside(folder, outside);
  noteOthers(folder, files, notes);
  const found: Partial<ListedSplits> = {};
  const used = new Map<string, string>();
  for (const [split, names] of Object.entries(SPLITS) as [keyof typeof SPLITS, readonly string[]][]) {
    const name = names.find((each) => folders.includes(each));
    if (name === undefined) continue;
    const kind = await kindOf(join(folder, name));
    if (kind === 'class' || kind === 'none') {
      const reason = kind === 'class' ? 'its images have no classes' : 'it holds no folders of images';
      notes.push(`${join(folder, name)} is left out: ${reason}.`);
    } else found[split] = await listImages(join(folder, name), notes);
    used.set(name, split);
  }
  for (const name of folders.filter((each) => !used.has(each))) {
    notes.push(`${join(folder, name)} is left out: it is not called as a split (${SPLIT_NAMES.join(', ')}).`);
  }
  const { train, validation, test } = found;
  // The caller has made sure of it.
  if (!train) throw new InputError(`${folder}: expected a folder train, found none`);
  if (test || !validation) return { train, validation, test };
  notes.push(`${validation.folder} serves as test images, since there is no folder test.`);
  return { train, test: validation };
}

async function listImages(folder: string, notes: string[]): Promise<ListedImages> {
  const { folders: classes, files: beside, outside } = await listFolder(folder);
  requireInside(folder, outside);
  if (classes.length === 0 || classes.length > MAX_CLASSES) {
    throw new InputError(`${folder}: expected 1 to ${MAX_CLASSES} subfolders, one a class, found ${classes.length}`);
  }
  const files: { path: string; className: string }[] = [];
  const others: string[] = [...beside];
  const add = async (inner: string, className: string, depth: number): Promise<void> => {
    const listing = await listFolder(inner);
    requireInside(inner, listing.outside);
    if (depth > MAX_DEPTH) throw new InputError(`${inner}: expected at most ${MAX_DEPTH} folders in one another`);
    for (const name of listing.files) {
      if (isImage(name)) files.push({ path: join(inner, name), className });
      else others.push(name);
    }
    if (files.length > MAX_IMAGES) throw new InputError(`${folder}: expected at most ${MAX_IMAGES} images, found more`);
    for (const name of listing.folders) await add(join(inner, name), className, depth + 1);
  };
  for (const className of classes) {
    const before = files.length;
    await add(join(folder, className), className, 0);
    if (files.length === before) {
      throw new InputError(
        `${join(folder, className)}: expected images (.png, .jpg, .jpeg, .tif, .tiff, .webp, .bmp, .ppm, .pgm), found none`,
      );
    }
  }
  noteOthers(folder, others, notes);
  return { folder, classes, files };
}

/** Says which files are no images by their names, together by their endings. */
function noteOthers(folder: string, names: readonly string[], notes: string[]): void {
  const byEnding = new Map<string, number>();
  for (const name of names) {
    const ending = extname(name).toLowerCase();
    byEnding.set(ending, (byEnding.get(ending) ?? 0) + 1);
  }
  for (const [ending, size] of byEnding) {
    const what = ending === '' ? 'without an ending' : quote(ending);
    const reason = IMAGE_NAME.test(`x${ending}`) ? 'in no class folder' : 'no images that are read';
    notes.push(`${folder}: ${count(size, 'file')} ${what}, left out: ${reason}.`);
  }
}

function count(size: number, what: string): string {
  return `${size} ${what}${size === 1 ? '' : 's'}`;
}

function requireInside(folder: string, outside: readonly string[]): void {
  if (outside.length === 0) return;
  throw new InputError(`${join(folder, outside[0])}: expected an image or a class, found a link out of the folder`);
}

/** The form of the first image; colour where any image has colour, so headers are read until one has. */
async function formOf(files: readonly { path: string }[]): Promise<LabelledImages['image']> {
  const first = await readImageHeader(files[0].path);
  let { channels } = first;
  for (let i = 1; i < files.length && channels === 1; i++) ({ channels } = await readImageHeader(files[i].path));
  return { ...first, channels };
}

function imagesInFiles(
  { folder, files }: ListedImages,
  classes: readonly string[],
  image: LabelledImages['image'],
): LabelledImages {
  const labels = new Map(classes.map((name, label) => [name, label]));
  return {
    // The caller has checked that every class is known.
    labels: Int32Array.from(files, ({ className }) => labels.get(className) ?? 0),
    image,
    nameOf: (index) => files[index].path,
    read: async (indices, form): Promise<ImageBytes> => {
      let collector: ImageCollector | undefined;
      for (let i = 0; i < indices.length; i++) {
        const { path } = files[indices[i]];
        const decoded = await readImage(path);
        // A single grey image at the front must not decide for colour ones.
        collector ??= new ImageCollector(folder, indices.length, { ...decoded, channels: form.channels }, form);
        const { height, width } = collector.images;
        if (form.size === undefined && (decoded.height !== height || decoded.width !== width)) {
          throw new InputError(
            `${path}: expected ${height}×${width} pixels as the images before, found ${decoded.height}×${decoded.width}; give a size`,
          );
        }
        collector.put(i, decoded);
      }
      const { height, width } = image;
      return collector?.images ?? { pixels: new Uint8Array(), channels: form.channels, height, width };
    },
  };
}
