import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listFolder, locateInside, type TensorHeader } from '../formats/index.js';
import { findModelFiles } from '../models/index.js';
import { InputError } from '../registry/index.js';

/**
 * SHA-256 of a file, or of what a model directory gives to a run: `config.json`, the weights (shards and index, also in
 * subfolders) and the tokenizer and like files that are copied, by name. The same model has the same digest wherever it
 * lies; what no one reads does not count.
 *
 * @throws InputError when there is no such file, or no model in the folder.
 */
export async function digestOf(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file or a model directory, found nothing`);
  return info.isDirectory() ? digestOfModel(path) : digestOfFile(path);
}

/**
 * {@link digestOf} a model that may be given by its only file of weights: what lies beside it counts as in a directory.
 *
 * @throws InputError when there is no model.
 */
export async function digestOfModel(path: string): Promise<string> {
  const digest = createHash('sha256');
  const { folder, read, companions } = await findModelFiles(path);
  for (const name of [...read, ...companions].sort()) {
    // By its own digest, so that no content can pass for the next file's name.
    digest.update(`${name}\0${await digestOfFile((await locateInside(folder, name)) ?? join(folder, name))}\n`);
  }
  return digest.digest('hex');
}

/** SHA-256 of some files of a folder, by name, in their order: the same as {@link digestOfFolder} where it holds no others, nor folders. */
export async function digestOfFiles(folder: string, names: readonly string[]): Promise<string> {
  const digest = createHash('sha256');
  for (const name of names) {
    digest.update(`${name}\0`);
    await addFile(digest, join(folder, name));
  }
  return digest.digest('hex');
}

/**
 * SHA-256 of all files of a data set's folder and its subfolders, by name; hidden files are left out, and links that lead
 * out of the folder, which no data set follows.
 *
 * @throws InputError when there is no such folder.
 */
export async function digestOfFolder(path: string): Promise<string> {
  const digest = createHash('sha256');
  const add = async (folder: string, prefix: string): Promise<void> => {
    const { files, folders } = await listFolder(folder);
    for (const name of files) {
      digest.update(`${prefix}${name}\0`);
      await addFile(digest, join(folder, name));
    }
    for (const name of folders) await add(join(folder, name), `${prefix}${name}/`);
  };
  await add(path, '');
  return digest.digest('hex');
}

async function addFile(digest: Hash, file: string): Promise<void> {
  const info = await stat(file).catch(() => undefined);
  // Opening a pipe waits for its writer, and a device may have no end.
  if (!info?.isFile()) throw new InputError(`${file}: expected a file, found ${info ? 'a pipe or device' : 'nothing'}`);
  for await (const chunk of createReadStream(file)) digest.update(chunk as Uint8Array);
}

async function digestOfFile(file: string): Promise<string> {
  const digest = createHash('sha256');
  await addFile(digest, file);
  return digest.digest('hex');
}

/**
 * Begins the SHA-256 of one tensor, of its name, dtype, shape and bytes: the bytes are added as they are read. What is hashed
 * first is `<bytes of the name in UTF-8>:<name><dtype>[<dimensions, commas between>]` and a line feed.
 *
 * @example
 * const digest = tensorDigest(header);
 * await tensors.pieces(header.name, (piece) => digest.update(piece));
 * digest.digest('hex');
 */
export function tensorDigest({ name, dtype, shape }: TensorHeader): Hash {
  return createHash('sha256').update(`${Buffer.byteLength(name)}:${name}${dtype}[${shape}]\n`);
}

/**
 * SHA-256 of a model's weights, from the digests of its tensors: of these in hexadecimal, sorted, a line feed behind each. The
 * same for the same tensors in any order and in any number of shards; metadata, configuration and tokenizer do not count.
 */
export function digestOfWeights(tensorDigests: readonly string[]): string {
  const digest = createHash('sha256');
  for (const each of [...tensorDigests].sort()) digest.update(`${each}\n`);
  return digest.digest('hex');
}
