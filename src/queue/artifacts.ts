/** A file of a folder that is kept as a whole. */
export interface TreeFile {
  /** Path within the folder, with slashes. */
  readonly name: string;
  /** Where it lies. */
  readonly path: string;
}

/**
 * Where the machines of a sweep keep what they share: small texts under keys (what jobs found), and folders of files by their
 * digest (models, data). Nothing is ever overwritten: of two that keep the same key, the first counts.
 */
export interface ArtifactStore {
  /** For messages. */
  readonly name: string;
  /** What tells this store from others; drawn when it is first used. */
  readonly id: string;
  /** What lies under a key; undefined where nothing does. */
  read(key: string): Promise<string | undefined>;
  /** Keeps a text under a key. Whether it was the first. */
  keep(key: string, content: string): Promise<boolean>;
  /** Forgets what lies under a key. */
  forget(key: string): Promise<void>;
  /**
   * Keeps the files of a folder.
   *
   * @returns Their digest, see {@link treeDigest}.
   */
  keepTree(files: readonly TreeFile[]): Promise<string>;
  /**
   * A folder on this machine with the files of a tree, each of which is what its digest says.
   *
   * @throws InputError when it is not there, or not what it was.
   */
  tree(digest: string): Promise<string>;
}

/** A text that a store holds must not be larger: the trials of a search are a few hundred kilobytes. */
export const maxTextBytes = 64 * 2 ** 20;

/** Keys are paths of plain names: they come from jobs, which others may have written. */
const KEY = /^[a-z]+(\/[0-9a-z][0-9a-z.-]*)+$/;

/** Refuses what is no key, which could be a path to elsewhere. */
export function requireKey(key: string): string {
  if (KEY.test(key) && !key.includes('..')) return key;
  throw new TypeError(`expected a key of plain names, found ${JSON.stringify(key)}`);
}
