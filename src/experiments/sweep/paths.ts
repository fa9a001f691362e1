import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { dataFiles } from '../../data/index.js';
import { locateInside, resolveInside } from '../../formats/index.js';
import { findModelFiles } from '../../models/index.js';
import type { ArtifactStore } from '../../queue/index.js';
import { InputError } from '../../registry/index.js';
import { loadTokenizer, tokenizerFiles } from '../../text/index.js';
import type { PathMap } from '../jobs/task-paths.js';

/** Puts files into a store and gives their references: each path once. */
export function keptPaths(store: ArtifactStore): PathMap {
  const models = new Map<string, Promise<string>>();
  const tokenizers = new Map<string, Promise<string>>();
  const sets = new Map<string, ReturnType<PathMap['data']>>();
  return {
    model: (path) =>
      once(models, resolve(path), async () => {
        const { folder, read, companions } = await findModelFiles(path);
        const files = [];
        for (const name of [...read, ...companions]) {
          files.push({ name, path: (await locateInside(folder, name)) ?? resolveInside(folder, name) });
        }
        return reference(await store.keepTree(files), folder === path ? undefined : basename(path));
      }),
    tokenizer: (path) =>
      once(tokenizers, resolve(path), async () => {
        const files = [];
        for (const name of Object.keys(tokenizerFiles)) {
          const file = await locateInside(path, name);
          if (file !== undefined) files.push({ name, path: file });
        }
        // Refused here where it is none, and not by a worker.
        await loadTokenizer(path);
        return reference(await store.keepTree(files));
      }),
    data: (spec, path) =>
      once(sets, JSON.stringify([spec.name, resolve(path)]), async () => {
        // The copy's folder has another name, which would say of no data set what it is.
        const { source, folder, names } = await dataFiles(spec);
        const kept = await store.keepTree(names.map((name) => ({ name, path: join(folder, name) })));
        return { name: source, path: reference(kept, (await stat(path)).isFile() ? basename(path) : undefined) };
      }),
  };
}

function once<T>(known: Map<string, Promise<T>>, key: string, keep: () => Promise<T>): Promise<T> {
  const kept = known.get(key) ?? keep();
  known.set(key, kept);
  return kept;
}

/** The places on this machine of what references name. */
export function foundPaths(store: ArtifactStore): PathMap {
  const find = async (text: string) => {
    const [, digest, name] = /^artifact:([0-9a-f]{64})(?:\/([^/\\\0]+))?$/.exec(text) ?? [];
    if (digest === undefined) throw new InputError(`expected artifact: and a digest, found ${JSON.stringify(text)}`);
    const folder = await store.tree(digest);
    return name === undefined ? folder : resolveInside(folder, name);
  };
  return { model: find, tokenizer: find, data: async ({ name }, path) => ({ name, path: await find(path) }) };
}

function reference(digest: string, name?: string): string {
  return name === undefined ? `artifact:${digest}` : `artifact:${digest}/${name}`;
}
