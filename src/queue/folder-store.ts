import { randomUUID } from 'node:crypto';
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileErrorCode, makeFolder, readFileCapped, resolveInside, temporaryPath } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { type ArtifactStore, maxTextBytes, requireKey, type TreeFile } from './artifacts.js';
import { isDigest, listOf, parseTreeList, requireTree, treeDigest } from './tree.js';

/** A store in a folder: on one machine, or one that several machines share. */
export class FolderStore implements ArtifactStore {
  /** Trees that were checked, by this process: they are read many times. */
  readonly #checked = new Map<string, Promise<string>>();

  private constructor(
    /** Where it is. */
    readonly folder: string,
    readonly id: string,
  ) {}

  /**
   * Opens a store, and makes it where there is none.
   *
   * @throws InputError when the folder cannot be written, or holds other things.
   */
  static async open(folder: string): Promise<FolderStore> {
    await makeFolder(folder);
    const path = join(folder, ID);
    if (!(await exists(path))) {
      const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
      if (names.length > 0) {
        throw new InputError(`${folder}: expected an empty folder or one of artifacts, found ${names[0]} in it`);
      }
      // Of several processes that begin at once, one draws it.
      await createWhole(path, `${randomUUID()}\n`);
    }
    const id = new TextDecoder().decode(await readFileCapped(path, 100)).trim();
    if (!/^[0-9a-f-]{36}$/.test(id)) throw new InputError(`${path}: expected a UUID, found something else`);
    return new FolderStore(folder, id);
  }

  get name(): string {
    return this.folder;
  }

  async read(key: string): Promise<string | undefined> {
    const path = this.#path(key);
    if (!(await exists(path))) return undefined;
    return new TextDecoder().decode(await readFileCapped(path, maxTextBytes));
  }

  async keep(key: string, content: string): Promise<boolean> {
    const path = this.#path(key);
    if (await exists(path)) return false;
    await makeFolder(dirname(path));
    return createWhole(path, content);
  }

  async forget(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  async keepTree(files: readonly TreeFile[]): Promise<string> {
    const list = await listOf(files);
    const digest = treeDigest(list);
    const folder = this.#path(`trees/${digest}`);
    if (!(await exists(folder))) {
      await makeFolder(dirname(folder));
      const temporary = temporaryPath(folder);
      try {
        for (const { name, path } of files) {
          const copy = resolveInside(temporary, `files/${name}`);
          await mkdir(dirname(copy), { recursive: true });
          await copyFile(path, copy);
          await sync(copy);
        }
        await mkdir(join(temporary, 'files'), { recursive: true });
        await writeFile(join(temporary, LIST), JSON.stringify(list));
        await requireTree(join(temporary, 'files'), list, digest);
        await rename(temporary, folder);
      } catch (error) {
        await rm(temporary, { recursive: true, force: true });
        // Another has kept the same meanwhile.
        if (!(await exists(folder))) throw error;
      }
    }
    return digest;
  }

  tree(digest: string): Promise<string> {
    const known = this.#checked.get(digest) ?? this.#check(digest);
    this.#checked.set(digest, known);
    known.catch(() => this.#checked.delete(digest));
    return known;
  }

  async #check(digest: string): Promise<string> {
    if (!isDigest(digest)) throw new InputError(`expected a digest of files, found ${JSON.stringify(digest)}`);
    const folder = this.#path(`trees/${digest}`);
    if (!(await exists(folder))) throw new InputError(`${folder}: expected files of this digest, found none`);
    const path = join(folder, LIST);
    const list = parseTreeList(new TextDecoder().decode(await readFileCapped(path, maxTextBytes)), path);
    await requireTree(join(folder, 'files'), list, digest);
    return join(folder, 'files');
  }

  #path(key: string): string {
    return resolveInside(this.folder, requireKey(key));
  }
}

/** What tells a store from others lies here. */
const ID = 'store-id';
/** Digests of the files of a tree, beside them. */
const LIST = 'list.json';

/** Makes a file with its content, unless there is one; durable when it returns. Whether it was made. */
async function createWhole(path: string, content: string): Promise<boolean> {
  const temporary = temporaryPath(path);
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    await sync(temporary);
    // A link, unlike a rename, never takes the place of another's file.
    await link(temporary, path);
    await sync(dirname(path)).catch(() => undefined);
    return true;
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST') return false;
    if (!(await exists(temporary))) throw error;
    // File systems without links: whoever renames last writes the same.
    await rename(temporary, path);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
