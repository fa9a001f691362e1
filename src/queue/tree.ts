import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { listFolder, resolveInside } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import type { TreeFile } from './artifacts.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Form of a list of files: their digests by their names. */
const treeList = z.record(z.string().min(1).max(1024), sha256);

/** Files of a tree: their SHA-256 by their names. */
export type TreeList = z.output<typeof treeList>;

/**
 * Reads the list of a tree, from a store that others write to.
 *
 * @param source - Its file, for messages.
 * @throws InputError when it is not JSON, or not of the form.
 */
export function parseTreeList(text: string, source: string): TreeList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${source}: expected JSON, ${error instanceof Error ? error.message : String(error)}`);
  }
  const list = treeList.safeParse(value);
  if (list.success) return list.data;
  throw new InputError(`${source}: expected digests by file names`);
}

/** Whether a text is a digest. */
export function isDigest(text: string): boolean {
  return sha256.safeParse(text).success;
}

/** The digest of a tree: SHA-256 of a line for each file, by name: its name, a zero byte, its SHA-256. */
export function treeDigest(list: TreeList): string {
  const digest = createHash('sha256');
  for (const name of Object.keys(list).sort()) digest.update(`${name}\0${list[name]}\n`);
  return digest.digest('hex');
}

/** SHA-256 of a file, read piece by piece. */
export async function fileDigest(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) throw new InputError(`${path}: expected a file, found ${info ? 'something else' : 'nothing'}`);
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path)) digest.update(chunk as Uint8Array);
  return digest.digest('hex');
}

/** The list of some files. */
export async function listOf(files: readonly TreeFile[]): Promise<TreeList> {
  const list: TreeList = {};
  for (const { name, path } of files) list[name] = await fileDigest(path);
  return list;
}

/** Checks that a folder holds the files of a list, and no others. */
export async function requireTree(folder: string, list: TreeList, digest: string): Promise<void> {
  const others = (await filesOf(folder)).filter(({ name }) => !Object.hasOwn(list, name));
  if (treeDigest(list) !== digest || others.length > 0) {
    throw new InputError(`${folder}: expected the files of ${digest}, found others`);
  }
  for (const [name, wanted] of Object.entries(list)) {
    const path = resolveInside(folder, name);
    const found = await fileDigest(path);
    if (found !== wanted) throw new InputError(`${path}: expected SHA-256 ${wanted}, found ${found}`);
  }
}

/** All files of a folder and its subfolders; hidden ones and links that lead out of it are left out. */
export async function filesOf(folder: string): Promise<TreeFile[]> {
  const found: TreeFile[] = [];
  const add = async (prefix: string): Promise<void> => {
    const { files, folders } = await listFolder(join(folder, prefix), folder);
    for (const name of files) found.push({ name: `${prefix}${name}`, path: join(folder, prefix, name) });
    for (const name of folders) await add(`${prefix}${name}/`);
  };
  await add('');
  return found;
}
