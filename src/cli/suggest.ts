import { suggest } from '../registry/index.js';

/**
 * `; did you mean X?` for the end of an error message, or nothing. Case and dashes do not count, and a nested key may be
 * given without its group: `learning-rate` for `optimizer.learningRate`.
 */
export function didYouMean(name: string, known: Iterable<string>): string {
  const keys = [...known];
  for (const form of [plain, (key: string) => plain(key.slice(key.lastIndexOf('.') + 1))]) {
    const forms = keys.map(form);
    const best = suggest(plain(name), forms);
    if (best !== undefined) return `; did you mean ${keys[forms.indexOf(best)]}?`;
  }
  return '';
}

function plain(name: string): string {
  // Hostile names may be long, and the distance costs the product of both lengths.
  return name.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '');
}
