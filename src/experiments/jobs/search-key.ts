import { resolve } from 'node:path';
import type { AttackTask } from '../../attacks/index.js';
import { dataFiles } from '../../data/index.js';
import { configHash, digestOf, digestOfFiles } from '../../evidence/index.js';
import { locateInside } from '../../formats/index.js';
import { tokenizerFiles } from '../../text/index.js';
import { type PathMap, withPaths } from './task-paths.js';

/**
 * Gives searches keys by all that decides what they find: their configuration, and the contents of models, data and tokenizers in
 * the place of paths. So a trial on disk is only ever taken for one of the same search, also where a later version calls
 * another search by its name, or a model was made anew; and a run that was moved goes on.
 *
 * @returns The key of a task, 12 hexadecimal digits; each file is read once.
 */
export function searchKeys(): (task: AttackTask) => Promise<string> {
  const digests = digestsOfPaths();
  return async (task) => {
    const { id: _, ...content } = await withPaths(task, digests);
    return configHash('search', content);
  };
}

function digestsOfPaths(): PathMap {
  const known = new Map<string, Promise<string>>();
  const once = (kind: string, path: string, digest: () => Promise<string>) => {
    const key = `${kind} ${resolve(path)}`;
    const found = known.get(key) ?? digest();
    known.set(key, found);
    return found;
  };
  return {
    model: (path) => once('model', path, () => digestOf(path)),
    tokenizer: (path) =>
      once('tokenizer', path, async () => {
        const names: string[] = [];
        for (const name of Object.keys(tokenizerFiles)) if (await locateInside(path, name)) names.push(name);
        return digestOfFiles(path, names);
      }),
    data: async (spec, path) => {
      const { source, folder, names } = await dataFiles(spec);
      return { name: source, path: await once(`data ${source}`, path, () => digestOfFiles(folder, names)) };
    },
  };
}
