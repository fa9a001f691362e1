import { join } from 'node:path';
import { type FolderListing, InputError, listFolder, readImage } from '../../formats/index.js';
import type { ImageCollection, LabelledImages } from '../collection.js';
import { ImageCollector } from '../convert.js';

const IMAGE = /\.(png|jpe?g)$/i;
/** Most classes and images of a folder: enough for ImageNet, and its list of names still fits memory. */
const MAX_CLASSES = 100_000;
const MAX_IMAGES = 5_000_000;

/** Whether a folder is a folder of images: subfolders, or those of its `train`, hold PNG or JPEG files. */
export async function isImageFolder(folder: string, { folders }: FolderListing): Promise<boolean> {
  for (const name of folders) {
    const inner = await listFolder(join(folder, name));
    if (inner.files.some((file) => IMAGE.test(file))) return true;
    if (name === 'train' && (await isImageFolder(join(folder, name), { ...inner, folders: inner.folders })))
      return true;
  }
  return false;
}

/**
 * Opens a folder of PNG and JPEG images, one subfolder a class, in the order of their names; `train` and `test` with the
 * same classes may stand above. Images are decoded when they are read. Other files are left out.
 *
 * @throws InputError when there is no image, a class of the test images is unknown, or a link leads out of the folder.
 */
export async function openImageFolder(folder: string): Promise<ImageCollection> {
  const { folders } = await listFolder(folder);
  const isSplit = folders.includes('train');
  const train = await listImages(isSplit ? join(folder, 'train') : folder);
  const { classes } = train;
  if (!isSplit || !folders.includes('test')) return { classes, train: await imagesInFiles(train, classes) };
  const test = await listImages(join(folder, 'test'));
  const unknown = test.classes.find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`${join(folder, 'test', unknown)}: expected a class of the training images, found another`);
  }
  return { classes, train: await imagesInFiles(train, classes), test: await imagesInFiles(test, classes) };
}

interface ListedImages {
  folder: string;
  classes: readonly string[];
  files: readonly { path: string; className: string }[];
}

async function listImages(folder: string): Promise<ListedImages> {
  const { folders: classes, outside } = await listFolder(folder);
  requireInside(folder, outside);
  if (classes.length === 0 || classes.length > MAX_CLASSES) {
    throw new InputError(`${folder}: expected 1 to ${MAX_CLASSES} subfolders, one a class, found ${classes.length}`);
  }
  const files = [];
  for (const className of classes) {
    const inner = await listFolder(join(folder, className));
    requireInside(join(folder, className), inner.outside);
    const images = inner.files.filter((name) => IMAGE.test(name));
    if (images.length === 0)
      throw new InputError(`${join(folder, className)}: expected PNG or JPEG images, found none`);
    for (const name of images) files.push({ path: join(folder, className, name), className });
    if (files.length > MAX_IMAGES) throw new InputError(`${folder}: expected at most ${MAX_IMAGES} images, found more`);
  }
  return { folder, classes, files };
}

function requireInside(folder: string, outside: readonly string[]): void {
  if (outside.length === 0) return;
  throw new InputError(`${join(folder, outside[0])}: expected an image or a class, found a link out of the folder`);
}

async function imagesInFiles({ folder, files }: ListedImages, classes: readonly string[]): Promise<LabelledImages> {
  const first = await readImage(files[0].path);
  const labels = new Map(classes.map((name, label) => [name, label]));
  return {
    // The caller has checked that every class is known.
    labels: Int32Array.from(files, ({ className }) => labels.get(className) ?? 0),
    image: { channels: first.channels, height: first.height, width: first.width },
    nameOf: (index) => files[index].path,
    read: async (indices, form) => {
      let collector: ImageCollector | undefined;
      for (let i = 0; i < indices.length; i++) {
        const { path } = files[indices[i]];
        const image = await readImage(path);
        // A single grey image at the front must not decide for colour ones.
        collector ??= new ImageCollector(folder, indices.length, { ...image, channels: form.channels }, form);
        const { height, width } = collector.images;
        if (form.size === undefined && (image.height !== height || image.width !== width)) {
          throw new InputError(
            `${path}: expected ${height}×${width} pixels as the images before, found ${image.height}×${image.width}; give a size`,
          );
        }
        collector.put(i, image);
      }
      return (
        collector?.images ?? {
          pixels: new Uint8Array(),
          channels: form.channels,
          height: first.height,
          width: first.width,
        }
      );
    },
  };
}
