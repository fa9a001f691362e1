import { copyFile, mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileErrorCode, resolveInside, writeFileAtomic } from '../../formats/index.js';
import { findModelFiles } from '../model-files.js';
import type { HubId } from './id.js';

/**
 * The folder of one model in the cache, laid out as huggingface_hub does, so that either finds what the other downloaded: `blobs/`
 * by digest, `refs/` with the commit of a revision, `snapshots/<commit>/` with links into the blobs.
 */
export class HubCache {
  readonly #folder: string;

  constructor(cache: string, { name }: HubId) {
    this.#folder = join(cache, `models--${name.replaceAll('/', '--')}`);
  }

  /** Where the files of a commit lie. */
  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  /** Where the content of a file lies, or will. */
  blob(etag: string): string {
    return join(this.#folder, 'blobs', etag);
  }

  /** The commit that a revision was at when it was last asked for. */
  async commitOf(revision: string): Promise<string | undefined> {
    const text = await readFile(resolveInside(join(this.#folder, 'refs'), revision), 'utf8').catch(() => '');
    return /^[0-9a-f]{40}$/.exec(text.trim())?.[0];
  }

  /** Notes the commit of a revision. */
  async note(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    await writeFileAtomic(resolveInside(join(this.#folder, 'refs'), revision), commit);
  }

  /** Puts a file of a commit in its place: a link to its blob, or a copy where links are not to be had. */
  async place(path: string, commit: string, etag: string): Promise<void> {
    const at = resolveInside(this.snapshot(commit), path);
    if (await stat(at).catch(() => undefined)) return;
    await mkdir(dirname(at), { recursive: true });
    await symlink(relative(dirname(at), this.blob(etag)), at).catch(async (error: unknown) => {
      if (fileErrorCode(error) === 'EEXIST') return;
      await copyFile(this.blob(etag), at);
    });
  }

  /** Whether the weights of a commit are all there. They come last, so that all else is there too. */
  async isWhole(commit: string): Promise<boolean> {
    const folder = this.snapshot(commit);
    const names = await findModelFiles(folder).then(
      ({ read }) => read,
      () => [],
    );
    const found = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
    return found.length > 0 && found.every((info) => info?.isFile());
  }
}
