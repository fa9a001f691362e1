import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FolderListing, listFolder, TABLE_NAME } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { type DataSource, dataSources } from './registry.js';
import { isCifarFolder } from './sources/cifar.js';
import { isImageFolder } from './sources/folder.js';
import { isIdxFolder, isIdxImages } from './sources/idx.js';
import { isPromptFolder } from './sources/prompts.js';
import { isTextFolder } from './sources/table.js';

/** What is looked for in a folder, for messages. */
export const KNOWN_LAYOUTS =
  'IDX files, CIFAR batches, subfolders of images, or files of texts (train.tsv and the like)';

/**
 * Finds out which source opens a path by its file names: one of the registry's names where the folder is called so and
 * holds such files, or else `idx`, `cifar`, `images` or `texts`.
 *
 * @throws InputError when it is none of them.
 */
export async function sourceAt(path: string): Promise<DataSource> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) {
    if (isIdxImages(path)) return dataSources.get('idx');
    if (TABLE_NAME.test(path)) return dataSources.get('texts');
    throw new InputError(
      `${path}: expected a folder of ${KNOWN_LAYOUTS}, a file .tsv, .csv, .jsonl, .parquet or .txt, or the training images of an IDX set, found another file`,
    );
  }
  const listing = await listFolder(path);
  const found = await sourceOfFolder(path, listing);
  if (found) return found;
  const inner = [];
  for (const name of listing.folders) {
    if (await sourceOfFolder(join(path, name), await listFolder(join(path, name)))) inner.push(join(path, name));
  }
  const several = inner.length > 0 ? `; did you mean ${inner.slice(0, 3).join(' or ')}?` : '';
  throw new InputError(`${path}: expected ${KNOWN_LAYOUTS}, found none${several}`);
}

/** The source of a folder, or undefined where it is no data set; see {@link sourceAt}. */
export async function sourceOfFolder(path: string, listing: FolderListing): Promise<DataSource | undefined> {
  const layout = isIdxFolder(listing)
    ? 'idx'
    : isCifarFolder(listing)
      ? 'cifar'
      : (await isImageFolder(path, listing))
        ? 'images'
        : isPromptFolder(listing)
          ? 'prompts'
          : isTextFolder(listing)
            ? 'table'
            : undefined;
  if (!layout) return undefined;
  const called = dataSources.entries().find(({ name }) => name === basename(path));
  return called?.layout === layout ? called : dataSources.get(layout === 'table' ? 'texts' : layout);
}
