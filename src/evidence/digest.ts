import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError, listFolder } from '../formats/index.js';

/**
 * SHA-256 of a file, or of a model directory's `config.json` and safetensors files by name: the same weights and
 * architecture have the same digest wherever they lie.
 *
 * @throws InputError when there is no such file or folder.
 */
export async function digestOf(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new InputError(`${path}: expected a file or a model directory, found nothing`);
  const names = info.isDirectory()
    ? (await readdir(path)).filter((name) => name === 'config.json' || name.endsWith('.safetensors')).sort()
    : undefined;
  const files = names ? names.map((name) => join(path, name)) : [path];
  const digest = createHash('sha256');
  for (const file of files) {
    if (names) digest.update(`${basename(file)}\0`);
    await addFile(digest, file);
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
  for await (const chunk of createReadStream(file)) digest.update(chunk as Uint8Array);
}
