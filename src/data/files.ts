import { stat } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { sourceOf } from './load.js';
import type { DataSpec } from './spec.js';

/** The files of a data set, and what opens them. */
export interface DataFiles {
  /** Name of its source, which a path may have told by the name of its folder. */
  readonly source: string;
  /** Where they lie; of a set that is part of weightlock nowhere. */
  readonly folder: string;
  /** Their paths in it, with slashes, in order. */
  readonly names: readonly string[];
}

/**
 * The files that loading a data set reads, and no others that lie beside them.
 *
 * @throws InputError when some are missing.
 */
export async function dataFiles(spec: DataSpec): Promise<DataFiles> {
  const source = await sourceOf(spec);
  const { path = '' } = spec;
  const paths = await source.files(path);
  const folder = paths.length > 0 && (await stat(path)).isFile() ? dirname(path) : path;
  const names = paths.map((each) => relative(folder, each).split(sep).join('/'));
  return { source: source.name, folder, names: [...new Set(names)].sort() };
}
